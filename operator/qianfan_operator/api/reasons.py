"""The closed list of reasons for conditions and events, each with its sentence for the documents.

Reasons are part of the API: closed, of low cardinality, the same words in conditions and events. Only the events
`Unreadable`, `Recovered` and `StatusRestored` have reasons that no condition has: the first is about objects whose
conditions may not be readable, the second about the end of what a condition said, the third about the status itself.
"""

import enum


class Reason(enum.StrEnum):
    """One CamelCase word; its meaning is `sentence`."""

    sentence: str

    def __new__(cls, word: str, sentence: str) -> "Reason":
        """Make a member that is its word and knows its sentence."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.sentence = sentence
        return member

    # On the way.
    CREATING = "Creating", "The cloud resource is being created."
    TRAINING = "Training", "The run is training."
    PUBLISHING = "Publishing", "The model version is being published."
    DEPLOYING = "Deploying", "The endpoint is being deployed."
    CONFIRMING = (
        "Confirming",
        "The outcome of an earlier create request is unknown. Checking the cloud before retrying.",
    )
    UPDATING = "Updating", "The endpoint is switching to another model version and goes on serving."
    STOPPING = "Stopping", "The run is being stopped."
    WAITING_FOR_RUN = "WaitingForRun", "The new attempt starts when the working run has ended."
    PAYMENT_REQUIRED = "PaymentRequired", "The private-pool service waits until somebody pays for it in the console."
    PROGRESSING_WITH_RETRY = (
        "ProgressingWithRetry",
        "The last reconcile failed with a transient error and will be retried.",
    )
    DELETING = "Deleting", "The object is being deleted."
    FINALIZER_REFUSED = (
        "FinalizerRefused",
        "The API server refuses the operator's finalizer, without which nothing is created.",
    )
    ORPHANED = "Orphaned", "The object goes because its CRD is deleted. The cloud resource is left as it is."
    LEFT_IN_CLOUD = (
        "LeftInCloud",
        "The object is deleted. What the message names stays in the cloud and can still cost money.",
    )

    # Good ends.
    SUCCEEDED = "Succeeded", "The run has finished."
    AVAILABLE = "Available", "The resource can be used."
    STOPPED = "Stopped", "The run is stopped."
    PAUSED = "Paused", "Nothing is changed in the cloud while `spec.paused` is true."

    # References and credentials.
    DEPENDENCY_NOT_READY = "DependencyNotReady", "A referenced object is missing or not ready yet."
    DEPENDENCY_FAILED = (
        "DependencyFailed",
        "A referenced object failed, was stopped, refers back to this one, or starts too long a chain.",
    )
    CREDENTIALS_NOT_FOUND = "CredentialsNotFound", "The Secret with the access keys, or a key in it, is missing."
    CREDENTIALS_FORBIDDEN = (
        "CredentialsForbidden",
        "The operator may not read the Secret, or the namespace may not use the default credentials.",
    )
    CREDENTIALS_INVALID = "CredentialsInvalid", "The cloud refuses the access key or its signature."
    ACCOUNT_CHANGED = (
        "AccountChanged",
        "The access key in the Secret has changed and may belong to another account.",
    )
    ACCESS_DENIED = "AccessDenied", "The access key is known to the cloud but may not do this."

    # The cloud.
    CLOUD_UNAVAILABLE = "CloudUnavailable", "The cloud could not be asked; the last known state is kept."
    THROTTLED = (
        "Throttled",
        "The account asks the cloud too often; the last known state is kept, and it is asked less often.",
    )
    UNKNOWN_STATE = "UnknownState", "The cloud reports a state that this version does not know."
    REFUSED = "Refused", "The cloud refuses the request, or has twice done nothing with it."
    QUOTA_EXCEEDED = "QuotaExceeded", "The account's quota or balance does not allow it."
    TASK_LIMIT_REACHED = "TaskLimitReached", "The account holds as many tasks as it may; finished and empty ones count."
    NAME_TAKEN = "NameTaken", "The name already exists in the cloud and was not created by this object."
    TASK_EXISTS = "TaskExists", "A task of that name exists, and the cloud cannot tell whose it is."
    CREATE_OUTCOME_UNKNOWN = "CreateOutcomeUnknown", "A paid create may have happened, and the cloud cannot tell."
    DUPLICATE_CLOUD_RESOURCE = "DuplicateCloudResource", "Two cloud resources exist where one was wanted."

    # Bad ends.
    TRAINING_FAILED = "TrainingFailed", "The run failed in the cloud."
    PUBLISHING_FAILED = "PublishingFailed", "The model version failed to publish."
    DEPLOYING_FAILED = "DeployingFailed", "The endpoint failed to deploy."
    STOPPED_EXTERNALLY = "StoppedExternally", "The run or the service was stopped outside of this object."
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        "The run was stopped because it ran longer than `spec.activeDeadlineSeconds`.",
    )
    SERVICE_STOPPED = "ServiceStopped", "The endpoint served and has been stopped in the cloud."
    GONE = "Gone", "The cloud resource existed and is no longer there."
    DRIFTED = "Drifted", "The cloud resource was changed outside of this object."

    # What the spec asks and cannot be done.
    INVALID_SPEC = "InvalidSpec", "The spec cannot be used as it is."
    ATTEMPT_MISMATCH = "AttemptMismatch", "The selected attempt does not exist or was made from other inputs."
    ALREADY_BOUND = "AlreadyBound", "`spec.adopt` names another cloud resource than the one that this object manages."
    ALREADY_MANAGED = "AlreadyManaged", "Another object manages the same cloud resource."
    ADOPTION_FORBIDDEN = (
        "AdoptionForbidden",
        "The operator's setting `QIANFAN_ADOPT` does not let this object take over or use what its spec names.",
    )
    UPDATE_UNSUPPORTED = "UpdateUnsupported", "The cloud does not offer the call that this change needs."
    UPDATE_FAILED = (
        "UpdateFailed",
        "The switch to the other model version timed out. The previous version is still serving.",
    )
    DELETION_BLOCKED = "DeletionBlocked", "The cloud resource cannot be released; see the message for the ways out."
    IN_USE = "InUse", "The cloud resource is used by another object."
