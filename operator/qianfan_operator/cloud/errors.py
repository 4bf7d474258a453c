"""Errors of calls: the table of error codes, and what each code means for the caller.

    CloudError             a call did not do what was asked; says what that means for the caller
    └── NotSent            decided here: nothing left this process
        ├── ClockUnknown   a paid create may not be signed yet
        ├── ClockUntrusted nothing may be changed: who told the time is not proven, and the node's clock says another
        ├── BudgetSpent    the reconcile has made all the calls that it may make
        ├── StaleRequest   a paid create was signed too long ago
        ├── CaBundleUnusable  the certificates to trust cannot be read
        └── SwitchedOff    V2 is switched off by a setting

Everything else that matters is data: (operation, code) is looked up in one table, and callers ask the error for its
`fate`, `refused`, `exists` and `unsupported` instead of knowing codes.
"""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from qianfan_operator.api.reasons import Reason
from qianfan_operator.text import clean

MESSAGE_LIMIT: Final = 300
CODE_LIMIT: Final = 64


class Fate(enum.Enum):
    """What is to be done after an error."""

    RETRY = "Retry"
    """Again, with backoff; nobody has to act."""
    WAIT = "Wait"
    """Again, but not soon: a limit has to pass or to free itself."""
    STALL = "Stall"
    """A person must act."""
    GONE = "Gone"
    """What was asked about is not there."""
    UNKNOWN = "Unknown"
    """A create that may have happened: look before anything is repeated.

    See docs/design/create-protocol.md#sending.
    """


class ErrorClass(enum.Enum):
    """What an error says about when to ask again."""

    TRANSIENT = "Transient"
    """Nobody has to act: it passes by itself."""
    THROTTLED = "Throttled"
    """The account asks too often: it is asked no sooner than it would be polled, and rather less often."""
    BUSY = "Busy"
    """It has to wait until something else has ended."""
    NEEDS_ACTION = "NeedsAction"
    """A person must act."""
    NOT_FOUND = "NotFound"
    """What was asked about is not there."""
    AMBIGUOUS = "Ambiguous"
    """A create may have happened."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one code means: what to do, what to tell the user, and whether it proves that nothing was executed."""

    fate: Fate
    reason: Reason
    refused: bool = False
    throttled: bool = False


CREATES: Final = frozenset({"createTask", "createJob", "publishTrainModel", "apply"})
"""Each accepted call of these makes a new object; none has an idempotency key.

See docs/design/wire.md#idempotency-and-names.
"""

NAME_EXISTS: Final = frozenset(
    {("createTask", "510201"), ("publishTrainModel", "70101"), ("publishTrainModel", "70118")}
)
"""Something is there already, and it may be ours: made by a request whose reply was lost. So these prove nothing."""

# What the table's rows say. Only `refused` rows end an intent without ids, so the rest must stay out of them: a 5xx or
# a code that the wire does not document may have been raised after the object was made.
_TRANSIENT: Final = Rule(Fate.RETRY, Reason.CLOUD_UNAVAILABLE)
_NOT_EXECUTED: Final = Rule(Fate.RETRY, Reason.CLOUD_UNAVAILABLE, refused=True)
_LIMITED: Final = Rule(Fate.WAIT, Reason.THROTTLED, refused=True, throttled=True)
_TOO_OFTEN: Final = Rule(Fate.WAIT, Reason.THROTTLED, throttled=True)
_BUSY: Final = Rule(Fate.WAIT, Reason.QUOTA_EXCEEDED, refused=True)
_QUOTA: Final = Rule(Fate.STALL, Reason.QUOTA_EXCEEDED, refused=True)
_TASK_LIMIT: Final = Rule(Fate.STALL, Reason.TASK_LIMIT_REACHED, refused=True)
_REFUSED: Final = Rule(Fate.STALL, Reason.REFUSED, refused=True)
_DENIED: Final = Rule(Fate.STALL, Reason.ACCESS_DENIED, refused=True)
_BAD_KEYS: Final = Rule(Fate.STALL, Reason.CREDENTIALS_INVALID, refused=True)
_GONE: Final = Rule(Fate.GONE, Reason.GONE, refused=True)
_LOST: Final = Rule(Fate.STALL, Reason.GONE, refused=True)
_TAKEN: Final = Rule(Fate.STALL, Reason.NAME_TAKEN)
_TWICE: Final = Rule(Fate.STALL, Reason.CREATE_OUTCOME_UNKNOWN)

_ANY: Final = ("*",)
_READS_OF_10001: Final = (
    "modelDetail",
    "modelVersionDetail",
    "serviceDetail",
    "modelBatchDelete",
    "versionBatchDelete",
)

_NEVER_SENT: Final = ("BudgetSpent", "CaBundleUnusable", "CertificateUntrusted", "ClockUnknown", "ClockUntrusted",
                      "ConnectTimeout", "ConnectionRefused", "NameResolution", "StaleRequest")  # fmt: skip
_ON_THE_WAY: Final = ("OK", "Aborted", "BadReply", "ConnectionLost", "IncompleteList", "ProxyFailed", "ReplyTooLarge",
                      "TLSFailed", "Timeout")  # fmt: skip
OWN_CODES: Final = frozenset({*_NEVER_SENT, *_ON_THE_WAY, "SwitchedOff"})
"""Our words for what happened on the way. The cloud cannot say them: some of them prove that nothing was sent."""

# (operations, codes, rule); an exact operation wins over "*". Codes: the cloud's (docs/design/wire.md#error-codes) or
# our own words for what happened on the way. What is not listed is _TRANSIENT.
_ROWS: Final[tuple[tuple[Iterable[str], tuple[str, ...], Rule], ...]] = (
    # Never left, or never got a connection (a certificate is checked before the request is written), or came too late
    # for its own signature.
    (_ANY, (*_NEVER_SENT, "RequestExpired"), _NOT_EXECUTED),
    (_ANY, ("SwitchedOff",), _REFUSED),
    # Limits of rates: requests per second and in total, per day, and the gateway's own word for it; then those of
    # inference, requests and tokens per minute, of which it is not documented what they say about a create.
    (_ANY, ("4", "17", "18", "19", "HTTP 429"), _LIMITED),
    (_ANY, ("336501", "336502"), _TOO_OFTEN),
    # Who asks. 500002 was seen in the middle of a healthy run: only of a create that is free is it
    # See docs/design/wire.md#errors-while-polling.
    # believed, which is where a key without rights meets it first.
    (_ANY, ("14", "110", "111", "InvalidAccessKeyId", "InvalidHTTPAuthHeader", "SignatureDoesNotMatch"), _BAD_KEYS),
    (_ANY, ("6", "AccessDenied", "OptInRequired"), _DENIED),
    (("createTask",), ("500002",), _DENIED),
    # What is asked.
    (_ANY, ("3", "100", "500001", "InappropriateJSON", "MalformedJSON", "PreconditionFailed"), _REFUSED),
    (_ANY, ("InvalidHTTPRequest", "InvalidURI", "InvalidVersion"), _REFUSED),
    # Fine-tuning: data, task, run, configuration, quota.
    (_ANY, ("510101", "510102", "510302", "510401", "510404"), _REFUSED),
    (_ANY, ("510202", "510301"), _GONE),
    (_ANY, ("510203",), _TASK_LIMIT),
    (_ANY, ("510403",), _QUOTA),
    (_ANY, ("510402",), _BUSY),
    (("createTask",), ("510201",), _TAKEN),
    # The model repository. 10001 speaks of the model that the request names.
    (_ANY, ("10001", "21002", "70128", "70130", "70131"), _REFUSED),
    (_READS_OF_10001, ("10001",), _GONE),
    # A create that builds on what is not there. Only a task of our own can be replaced by another.
    (("createJob",), ("510301",), _LOST),
    (("publishTrainModel",), ("510202", "510301"), _LOST),
    (("publishTrainModel",), ("70101",), _TAKEN),
    (("publishTrainModel",), ("70118",), _TWICE),
)
_RATE: Final = re.compile(r"TooManyRequests|Throttl|(Rate|Requests?|Calls?|Flow|Frequency|Q[Pp][Ss]|[RT][Pp][Mm])Limit")
"""Words of other gateways for a limit of rates. One of how many things there may be is another matter."""
_TABLE: Final = {(operation, code): rule for row, codes, rule in _ROWS for operation in row for code in codes}

_STATUSES: Final = (400, 401, 403, 404, 405, 408, 409, 411, 413, 415, 429, 500, 501, 502, 503, 504)
CODES: Final = frozenset(
    {code for _, codes, _ in _ROWS for code in codes} | {*_ON_THE_WAY, *(f"HTTP {status}" for status in _STATUSES)}
)
"""The codes that are counted by their names: those that the table knows, and our own words for what happened."""

OTHER: Final = "other"


def counted(code: str) -> str:
    """Return the code as metrics show it: the cloud may say any word, and each would be a series for ever."""
    return code if code in CODES else OTHER


_REMEDIES: Final[dict[str | Reason, str]] = {
    Reason.ACCESS_DENIED: "give the user of the access key the right for it in the console's access management",
    "CaBundleUnusable": "correct the file or the setting; a restart is not needed for the file",
    "CertificateUntrusted": "set QIANFAN_CA_BUNDLE to a file with the authority that signed it, if that can be trusted",
    "21002": "choose a run that has finished",
    "70128": "choose a model that was not imported, or a new one, in spec.target",
    "70130": "choose a model of the same trainType as the run, or a new one, in spec.target",
    "510101": "a training needs at least 32 samples",
    "510102": "every data set must be released and fit the kind of training",
    "510203": "the account holds as many tasks as it may, and finished and empty tasks count; delete tasks that nothing"
    ' needs in the console (docs/operations.md, "Task limit"), or have the limit raised',
    "510401": "change spec.trainConfig to what this trainType and peftType allow",
    "510402": "waiting for another training job in this account to finish",
    "510403": "top up the account, or have its quota raised",
    "510404": "the base must be a finished run of peftType ALL, of a trainType that can be gone on from",
}
"""What a person can do about an answer whose own words do not tell, by its code or its reason.

See docs/design/wire.md#error-codes.
"""

_UNSUPPORTED: Final = frozenset(
    {"SwitchedOff", "AccessDenied", "OptInRequired", "InvalidURI", "InvalidVersion", "HTTP 404", "HTTP 405", "3", "6"}
)
_UNSUPPORTED_REASON: Final = {
    "ModifyService": Reason.UPDATE_UNSUPPORTED,
    "DeactivateService": Reason.DELETION_BLOCKED,
}


_CLASSES: Final = {
    Fate.RETRY: ErrorClass.TRANSIENT,
    Fate.STALL: ErrorClass.NEEDS_ACTION,
    Fate.GONE: ErrorClass.NOT_FOUND,
    Fate.UNKNOWN: ErrorClass.AMBIGUOUS,
}


def is_v2(operation: str) -> bool:
    """Tell the generations apart: a V2 Action begins with a capital, a V1 word does not.

    See docs/design/wire.md#v1-and-v2-words.
    """
    return operation[:1].isupper()


def classify(operation: str, code: str, http_status: int | None) -> Rule:
    """Look up what `code` means for `operation`. Any 5xx is transient, whatever its body says."""
    if http_status is not None and http_status >= 500:
        rule = _TRANSIENT
    elif is_v2(operation) and code in _UNSUPPORTED:
        rule = Rule(Fate.STALL, _UNSUPPORTED_REASON.get(operation, Reason.ACCESS_DENIED), refused=True)
    else:
        rule = _TABLE.get((operation, code)) or _TABLE.get(("*", code)) or _unlisted(code, http_status)
    if operation not in CREATES or rule.refused:
        return rule
    reason = Reason.CREATE_OUTCOME_UNKNOWN if rule in {_TRANSIENT, _TOO_OFTEN} else rule.reason
    return replace(rule, fate=Fate.UNKNOWN, reason=reason)


def _unlisted(code: str, http_status: int | None) -> Rule:
    """Judge a code that no table lists: it may be a limit of rates; whether that keeps a create back is not known."""
    return _TOO_OFTEN if http_status == 429 or _RATE.search(code) else _TRANSIENT


class CloudError(Exception):
    """A call did not do what was asked.

    `operation` is the wire's word ("createJob"), `code` the cloud's error code as text or our word for what happened
    on the way ("Timeout", "HTTP 502"), `message` the cloud's own words on one line of bounded length, `retry_after` the
    seconds that the cloud asks to wait, if it does. `throttled`: the account asks too often, whatever else the error
    means for what was asked.
    """

    def __init__(
        self,
        operation: str,
        code: str,
        message: str = "",
        *,
        request_id: str = "",
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.operation = operation
        self.code = one_line(code, CODE_LIMIT)
        self.message = one_line(message, MESSAGE_LIMIT)
        self.request_id = one_line(request_id, CODE_LIMIT)
        self.http_status = http_status
        self.retry_after = retry_after
        rule = classify(operation, self.code, http_status)
        self.fate = rule.fate
        self.reason = rule.reason
        self.refused = rule.refused
        self.throttled = rule.throttled
        remedy = _REMEDIES.get(self.code) or _REMEDIES.get(self.reason)
        if remedy is None and self.reason is Reason.REFUSED and operation in CREATES:
            remedy = "change in the spec what the cloud refuses"
        super().__init__(f"{operation}: {self.message or 'failed'} ({self.code}){f'; {remedy}' if remedy else ''}")

    @property
    def words(self) -> str:
        """What the cloud said, whatever it was asked; what it says of a wrong signature names only the code again."""
        if self.code == "SignatureDoesNotMatch":
            return f"QIANFAN_SECRET_KEY does not fit QIANFAN_ACCESS_KEY ({self.code})"
        return f"{self.message or 'failed'} ({self.code})"

    @property
    def error_class(self) -> ErrorClass:
        """What the error says about when to ask again."""
        if self.fate is Fate.WAIT:
            return ErrorClass.THROTTLED if self.throttled else ErrorClass.BUSY
        return _CLASSES[self.fate]

    @property
    def untrusted(self) -> bool:
        """Whether nothing was sent because of the certificates to trust, which somebody must mend at the operator."""
        return self.code in {"CaBundleUnusable", "CertificateUntrusted"}

    @property
    def exists(self) -> bool:
        """Whether the cloud says that the thing to create is there already: look whose it is."""
        return (self.operation, self.code) in NAME_EXISTS

    @property
    def unsupported(self) -> bool:
        """Whether V2 as such is not to be had: switched off, not opened to this account, or not offered any more."""
        return is_v2(self.operation) and self.code in _UNSUPPORTED and (self.http_status or 0) < 500


class NotSent(CloudError):
    """Nothing left this process."""


class ClockUnknown(NotSent):
    """A paid create was not signed, because the cloud's time is not known well enough."""

    def __init__(self, operation: str) -> None:
        super().__init__(operation, "ClockUnknown", "The cloud's time has not been measured lately.")


class ClockUntrusted(NotSent):
    """A change was not signed: the cloud's time is far from the node's, and nothing proves that the cloud told it."""

    def __init__(self, operation: str, limit: float) -> None:
        message = (
            f"The Date header differs from the node clock by more than {limit:g} s, and TLS verification is off."
            " Fix the node clock, or enable TLS verification."
        )
        super().__init__(operation, "ClockUntrusted", message)


class BudgetSpent(NotSent):
    """A call was not made, because the reconcile has made as many, or taken as long, as one may."""

    def __init__(self, operation: str, calls: int, seconds: float) -> None:
        message = (
            f"The reconcile reached its limit ({calls} cloud calls or {seconds:g} s)."
            " The account may hold too many resources, or the cloud is slow. Delete unused resources."
        )
        super().__init__(operation, "BudgetSpent", message)


class StaleRequest(NotSent):
    """A paid create was signed so long ago that its signature has expired."""

    def __init__(self, operation: str) -> None:
        super().__init__(operation, "StaleRequest", "The signed request became too old before it could be sent.")


class CaBundleUnusable(NotSent):
    """A call was not made, because the certificates to trust cannot be read."""

    def __init__(self, operation: str, path: str, problem: str) -> None:
        super().__init__(operation, "CaBundleUnusable", f"The setting for the CA bundle, {path}, {problem}.")


class SwitchedOff(NotSent):
    """A V2 call was not made, because the settings forbid V2."""

    def __init__(self, operation: str) -> None:
        super().__init__(operation, "SwitchedOff", "The V2 interface is switched off in the operator's settings.")


def one_line(text: str, limit: int) -> str:
    """Return words of the cloud as one line of visible characters, at most `limit` long."""
    return clean(" ".join(text[: 4 * limit].split()), limit)
