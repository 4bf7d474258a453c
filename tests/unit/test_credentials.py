"""From the Secret that an object names to an account: patience first, then plain words, and no key outside memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from traceback import TracebackException
from types import SimpleNamespace
from typing import Any

import pytest

from fake_kube import FakeKube
from qianfan_operator.api.common import ACCESS_KEY, SECRET_KEY, Resource
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.account import Account
from qianfan_operator.kinds.registry import BY_PLURAL
from qianfan_operator.kube.client import Forbidden, KubeError
from qianfan_operator.reconcile.credentials import (
    LABELS_FOR,
    REFUSED_FOR,
    REREAD,
    TRY_AGAIN,
    Access,
    Credentials,
    Default,
)
from qianfan_operator.reconcile.policy import Blocker
from qianfan_operator.selector import Selector
from qianfan_operator.telemetry.redacted import RedactedDict
from unit.objects import BORN, JOB, Raw, condition, raw

WAIT = 120.0
WATCHED, NAMED = "qianfan-credentials", "team-keys"
KEYS = {ACCESS_KEY: "ALTAKone", SECRET_KEY: "very-secret"}
OTHER_KEYS = {ACCESS_KEY: "ALTAKtwo", SECRET_KEY: "also-secret"}


@dataclass
class Office:
    """Credentials beside a cluster whose Secrets and time a test sets."""

    boot: float = 1000.0
    reads: int = 0
    refusal: Callable[[], Exception] | None = None
    connected: list[AccessKey] = field(default_factory=list)
    closed: list[AccessKey] = field(default_factory=list)
    used: set[tuple[str, str]] | None = None
    """The Secrets that objects name; None: all."""

    def __post_init__(self) -> None:
        self.kube = FakeKube({plural: kind.resource for plural, kind in BY_PLURAL.items()}, lambda: BORN)
        self.kube.labels["team"] = {"spends": "ours"}
        self.kube.around = self._around
        self.credentials = Credentials(
            self.kube,  # type: ignore[arg-type]
            self._connect, WAIT, lambda: self.boot, Default("shared", Selector.parse("spends=ours")),
        )  # fmt: skip
        missed: dict[Any, float] = {}
        self.credentials.first_missed = lambda resource, where: missed.setdefault(
            (resource.metadata.name, where), self.boot
        )
        self.credentials.used = lambda where: self.used is None or where in self.used

    def _around(self, operation: str, do: Callable[[], Any]) -> Any:
        self.reads += 1
        if self.refusal:
            raise self.refusal()
        return do()

    def _connect(self, keys: AccessKey) -> Any:
        self.connected.append(keys)
        return SimpleNamespace(close=lambda: self.closed.append(keys))

    def write(self, name: str, keys: Raw | None) -> None:
        """Change a Secret of the cluster; None deletes it."""
        if keys is None:
            del self.kube.secrets["team", name]
        else:
            self.kube.secrets["team", name] = RedactedDict(keys)

    def watch(self, keys: Raw | None) -> bool:
        """Let the watch see the Secret of the default name as it is written now."""
        return self.credentials.changed("team", WATCHED, None if keys is None else RedactedDict(keys))

    def after(self, seconds: float) -> "Office":
        self.boot += seconds
        return self

    def long_missed(self) -> "Office":
        """Let every object have been without its Secret for as long as is waited for one."""
        self.credentials.first_missed = lambda *_: self.boot - WAIT
        return self

    def default(self, keys: Raw) -> None:
        """Write the Secret that serves namespaces without one, and let the watch see it."""
        self.kube.secrets["shared", WATCHED] = RedactedDict(keys)
        self.credentials.changed("shared", WATCHED, RedactedDict(keys))

    def access(self, name: str = WATCHED, **metadata: Any) -> Access:
        return self.credentials.access(a_job(name, **metadata))

    def account(self, name: str = WATCHED, **metadata: Any) -> Account:
        account = self.access(name, **metadata).account
        assert account
        return account


def a_job(secret: str = WATCHED, status: Raw | None = None, **metadata: Any) -> Resource:
    spec = {"credentialsRef": {"name": secret}}
    return BY_PLURAL[JOB.plural].resource.parse(raw(JOB, spec=spec, status=status, **metadata))


def unnamed(**metadata: Any) -> Resource:
    """A job that names no Secret."""
    return BY_PLURAL[JOB.plural].resource.parse(raw(JOB, **metadata))


def told(access: Access) -> tuple[Blocker, Reason]:
    return access.blocker, access.why.reason


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.mark.parametrize("name", [WATCHED, NAMED])
def test_keys_give_an_account(office: Office, name: str) -> None:
    """The Secret that the object names, and the default one if it names none, is its access to the cloud."""
    office.write(name, KEYS)
    access = office.access(name)
    assert access.blocker is Blocker.NONE
    assert access.account
    assert access.account.name == AccessKey("ALTAKone", "x").account


@pytest.mark.parametrize("name", [WATCHED, NAMED])
def test_a_missing_secret_is_waited_for(office: Office, name: str) -> None:
    """It may come with the same chart; only when it has not, some time after the object, a person must act."""
    assert told(office.access(name)) == (Blocker.WAIT, Reason.CREDENTIALS_NOT_FOUND)
    assert told(office.after(WAIT - 1).access(name)) == (Blocker.WAIT, Reason.CREDENTIALS_NOT_FOUND)
    stalled = office.after(1).access(name)
    assert told(stalled) == (Blocker.STALL, Reason.CREDENTIALS_NOT_FOUND)
    assert all(word in stalled.why.message for word in (name, ACCESS_KEY, SECRET_KEY))


def test_an_old_object_is_not_given_new_patience_by_a_restart(office: Office) -> None:
    """A Stalled that a person has seen does not come and go with our process."""
    stalled = {"observedGeneration": 1, "conditions": [condition("Stalled", "True", "CredentialsNotFound")]}
    assert office.credentials.access(a_job(status=stalled)).blocker is Blocker.STALL


def test_the_age_of_an_object_is_not_told_by_the_clock_of_the_node(office: Office) -> None:
    """The timestamp of the API server is far from any clock of this process: patience counts from the first sight."""
    assert office.access(creationTimestamp="1999-01-01T00:00:00Z").blocker is Blocker.WAIT
    assert office.after(WAIT).access(creationTimestamp="2999-01-01T00:00:00Z").blocker is Blocker.STALL


@pytest.mark.parametrize("name", [WATCHED, NAMED])
def test_a_deleted_secret_is_waited_for_again(office: Office, name: str) -> None:
    """It may be about to be replaced: patience counts from its last sight, however old the object is."""
    office.write(name, KEYS)
    office.after(10 * WAIT).access(name)
    office.after(10 * WAIT).access(name)
    office.write(name, None)
    if name == WATCHED:
        office.watch(None)
    assert told(office.after(REREAD).access(name)) == (Blocker.WAIT, Reason.CREDENTIALS_NOT_FOUND)
    assert office.after(WAIT).access(name).blocker is Blocker.STALL


@pytest.mark.parametrize(
    ("data", "lacking"),
    [
        ({ACCESS_KEY: "a"}, f"lacks {SECRET_KEY}."),
        ({SECRET_KEY: "s", ACCESS_KEY: ""}, f"lacks {ACCESS_KEY}."),
        ({"accessKey": "a"}, f"lacks {ACCESS_KEY} and {SECRET_KEY}."),
        ({}, f"lacks {ACCESS_KEY} and {SECRET_KEY}."),
    ],
    ids=str,
)
def test_a_lacking_key_is_named(office: Office, data: dict[str, str], lacking: str) -> None:
    """A Secret with a typo in it is told by the key that it lacks, after the same patience."""
    office.write(WATCHED, data)
    first = office.access()
    assert told(first) == (Blocker.WAIT, Reason.CREDENTIALS_NOT_FOUND)
    assert first.why.message.endswith(lacking)
    assert office.after(WAIT).access().blocker is Blocker.STALL


def test_a_forbidden_secret_has_its_own_reason(office: Office) -> None:
    """Who chose a name of their own learns that a Role is lacking, not that the Secret is."""
    office.write(NAMED, KEYS)
    office.refusal = lambda: Forbidden("no")
    assert told(office.access(NAMED)) == (Blocker.WAIT, Reason.CREDENTIALS_FORBIDDEN)
    stalled = office.after(WAIT).access(NAMED)
    assert told(stalled) == (Blocker.STALL, Reason.CREDENTIALS_FORBIDDEN)
    assert NAMED in stalled.why.message
    office.refusal = None
    assert office.access(NAMED).blocker is Blocker.NONE


def test_an_api_server_that_is_down_proves_nothing(office: Office) -> None:
    """That the Secret could not be read is no reason to call it missing."""
    office.refusal = lambda: KubeError("503")
    with pytest.raises(KubeError):
        office.access()


def test_a_watched_secret_is_not_read_again(office: Office) -> None:
    """The watch tells what changes, so that a thousand polls cost no read."""
    office.watch(KEYS)
    for _ in range(5):
        office.after(REREAD).access()
    assert office.reads == 0


def test_another_secret_is_read_once_a_minute(office: Office) -> None:
    """A Secret that is not watched is believed for a while, then read again, and believed again."""
    office.write(NAMED, KEYS)
    for _ in range(3):
        office.access(NAMED)
        office.after(REREAD - 1).access(NAMED)
        office.after(1)
    assert office.reads == 3


def test_rotated_keys_are_used_at_once(office: Office) -> None:
    """What the watch shows is in use in the next pass; what is not watched within a minute."""
    office.watch(KEYS)
    office.write(NAMED, KEYS)
    old = office.account()
    assert office.account(NAMED) is old
    assert office.watch(OTHER_KEYS)
    office.write(NAMED, OTHER_KEYS)
    assert office.account().keys == AccessKey(*OTHER_KEYS.values())
    assert office.account(NAMED) is old
    assert office.after(REREAD).account(NAMED) is office.account()


def test_the_same_keys_are_one_account(office: Office) -> None:
    """Two Secrets with the same keys share a client, its limits and what is known of the cloud's clock."""
    office.write(WATCHED, KEYS)
    office.write(NAMED, dict(KEYS))
    assert office.account() is office.account(NAMED)
    assert len(office.connected) == 1


def test_a_watch_that_repeats_itself_changes_nothing(office: Office) -> None:
    """Only other keys, a first sight, or a going are news."""
    news = [office.watch(keys) for keys in (KEYS, dict(KEYS), OTHER_KEYS, None, None, KEYS)]
    assert news == [True, False, True, True, False, True]


def test_what_a_read_found_first_is_news_of_the_watch_all_the_same(office: Office) -> None:
    """The pass that read the new keys was one; the others that wait for them are woken by the event after it."""
    office.watch(KEYS)
    office.write(WATCHED, KEYS)
    refuse(office, 1, 0.0)
    office.write(WATCHED, OTHER_KEYS)
    assert office.account().keys.access_key == OTHER_KEYS[ACCESS_KEY]
    assert office.watch(OTHER_KEYS)
    assert not office.watch(OTHER_KEYS)


def test_a_first_listing_is_no_news_and_a_later_one_is(office: Office) -> None:
    """At the start nobody has waited; after a gap of the watch the listing is how a rotation is heard of."""
    changed = office.credentials.changed
    assert not changed("team", WATCHED, RedactedDict(KEYS), listed=True)
    assert not changed("team", WATCHED, RedactedDict(KEYS), listed=True)
    assert changed("team", WATCHED, RedactedDict(OTHER_KEYS), listed=True)


@pytest.mark.parametrize("name", [ACCESS_KEY, SECRET_KEY])
@pytest.mark.parametrize("text", ["two words", "two\nlines", "\ufffd\ufffd", "密钥", "tab\tbed"], ids=ascii)
def test_what_cannot_be_a_key_is_told_by_its_name(office: Office, name: str, text: str) -> None:
    """Bytes that are no text, or a paste with a line break in it, never reach a header, an error or a message."""
    office.write(WATCHED, {**KEYS, name: text})
    access = office.access()
    assert told(access) == (Blocker.WAIT, Reason.CREDENTIALS_INVALID)
    assert access.why.message.startswith(f"{name} in Secret {WATCHED} is not a valid key")
    assert text not in access.why.message
    assert office.after(WAIT).access().blocker is Blocker.STALL
    assert not office.connected


def test_an_access_key_that_would_end_its_field_of_the_header_is_none(office: Office) -> None:
    """Between the slashes of the header stands what is signed besides it: when, and for how long."""
    office.write(WATCHED, {**KEYS, ACCESS_KEY: "key/2026-01-01T00:00:00Z/99999999"})
    access = office.access()
    assert told(access) == (Blocker.WAIT, Reason.CREDENTIALS_INVALID)
    assert access.why.message.startswith(f"{ACCESS_KEY} in Secret {WATCHED} is not a valid key")
    assert not office.connected


def test_a_secret_that_nothing_watches_is_read_for_all_its_users(office: Office) -> None:
    """Whoever waits for it need not ask: it is read again for all of them, and what has changed is news once."""
    assert office.access(NAMED).again is None
    assert office.credentials.reread(("team", NAMED)) is False
    office.write(NAMED, KEYS)
    assert office.credentials.reread(("team", NAMED)) is True
    assert office.credentials.reread(("team", NAMED)) is False
    assert office.credentials.has_keys(("team", NAMED))
    office.write(NAMED, None)
    assert office.credentials.reread(("team", NAMED)) is True
    assert office.credentials.reread(("team", "nobody-uses")) is False
    assert office.reads == 5


def test_a_forbidden_secret_is_told_with_the_rule_to_add(office: Office) -> None:
    """The message names verb, resource, name and namespace, as the Role needs them."""
    office.refusal = lambda: Forbidden("no")
    message = office.access(NAMED).why.message
    assert all(word in message for word in ("Role", "`get` on secrets", f"resourceNames [{NAMED}]", "namespace team"))


def test_the_default_serves_who_has_and_names_no_secret(office: Office) -> None:
    """Where the setting names a namespace, its Secret stands in for a namespace's own that is not there."""
    office.default(KEYS)
    access = office.long_missed().credentials.access(unnamed())
    assert access.account
    assert access.account.keys == AccessKey(*KEYS.values())
    assert office.access().account is None  # an object that names its Secret gets that one or none
    assert office.credentials.sources(unnamed()) == (("team", WATCHED), ("shared", WATCHED))
    assert office.credentials.sources(a_job()) == (("team", WATCHED),)


def test_a_secret_of_ones_own_wins_over_the_default(office: Office) -> None:
    """Whoever brings keys pays with them, even if they are wrong: a typo does not spend somebody else's money."""
    office.default(OTHER_KEYS)
    office.watch(KEYS)
    access = office.credentials.access(unnamed())
    assert access.account
    assert access.account.keys == AccessKey(*KEYS.values())
    office.watch({ACCESS_KEY: "ALTAKone"})
    assert told(office.credentials.access(unnamed())) == (Blocker.WAIT, Reason.CREDENTIALS_NOT_FOUND)


def test_a_secret_that_is_being_replaced_is_not_stood_in_for(office: Office) -> None:
    """Nothing is made in another account between the deletion of a Secret and its coming back."""
    office.default(OTHER_KEYS)
    office.watch(KEYS)
    office.watch(None)
    assert told(office.credentials.access(unnamed())) == (Blocker.WAIT, Reason.CREDENTIALS_NOT_FOUND)
    access = office.after(WAIT).credentials.access(unnamed())
    assert access.account
    assert access.account.keys == AccessKey(*OTHER_KEYS.values())


def test_refused_default_keys_are_not_called_the_namespaces_own(office: Office) -> None:
    """Who has no Secret is told that the operator's keys are refused, and a namespace with other keys goes on."""
    office.default(OTHER_KEYS)
    account = office.long_missed().credentials.access(unnamed()).account
    assert account
    office.credentials.check_refused(("shared", WATCHED), account, "")
    refused = office.credentials.access(unnamed())
    assert told(refused) == (Blocker.WAIT, Reason.CREDENTIALS_INVALID)
    assert refused.why.message == "The cloud refuses the operator's own keys; correct them."
    office.watch(KEYS)
    assert office.credentials.access(unnamed()).blocker is Blocker.NONE


def test_labels_are_read_now_and_then_and_never_believed_for_long(office: Office) -> None:
    """Many objects of a namespace cost one read in a while, and what was read before does not outlive a failure."""
    office.default(KEYS)
    office.long_missed()
    labels: list[str] = []
    around = office.kube.around
    office.kube.around = lambda what, do: (labels.append(what), around(what, do))[1]
    for _ in range(20):
        assert office.credentials.access(unnamed()).account
    assert labels.count("namespace_labels") == 1
    assert office.after(LABELS_FOR - 1).credentials.access(unnamed()).account
    assert labels.count("namespace_labels") == 1
    office.kube.labels["team"] = {}
    refused = office.after(1).credentials.access(unnamed())
    assert told(refused) == (Blocker.STALL, Reason.CREDENTIALS_FORBIDDEN)
    assert not refused.own
    assert refused.again is not None
    assert refused.again <= 60
    office.kube.labels["team"] = {"spends": "ours"}
    assert office.after(LABELS_FOR).credentials.access(unnamed()).account
    office.after(LABELS_FOR).refusal = lambda: KubeError("away")
    with pytest.raises(KubeError):
        office.credentials.access(unnamed())


def test_whose_keys_they_are_is_told(office: Office) -> None:
    """What may be taken over depends on it."""
    office.default(OTHER_KEYS)
    assert office.long_missed().credentials.access(unnamed()).own is False
    office.watch(KEYS)
    assert office.credentials.access(unnamed()).own is True


def refuse(office: Office, times: int, every: float, name: str = WATCHED) -> Access:
    """Have so many checks find that the cloud refuses the keys."""
    for _ in range(times):
        office.after(every).credentials.check_refused(("team", name), office.account(name), "")
    return office.access(name)


@pytest.mark.parametrize(
    ("times", "every", "blocker"),
    [
        pytest.param(1, 0.0, Blocker.WAIT, id="once"),
        pytest.param(9, 1.0, Blocker.WAIT, id="often, within a minute"),
        pytest.param(2, REFUSED_FOR, Blocker.WAIT, id="twice, over a minute"),
        pytest.param(3, REFUSED_FOR / 2, Blocker.STALL, id="three times over a minute"),
    ],
)
def test_refused_keys_get_a_chance(office: Office, times: int, every: float, blocker: Blocker) -> None:
    """Keys are edited in two steps and the cloud's IAM lags: only lasting refusals are the user's to mend."""
    office.write(WATCHED, KEYS)
    office.access()
    assert told(refuse(office, times, every)) == (blocker, Reason.CREDENTIALS_INVALID)


def test_refused_keys_are_tried_again_by_themselves(office: Office) -> None:
    """A permission that was granted in the cloud needs no edit of the Secret; one answer ends the refusals."""
    office.write(WATCHED, KEYS)
    account = office.account()
    assert refuse(office, 3, REFUSED_FOR).account is account
    assert office.after(TRY_AGAIN).access().blocker is Blocker.NONE
    office.credentials.accepted(a_job(), account)
    assert office.access().blocker is Blocker.NONE
    office.credentials.check_accepted(("team", WATCHED), account)
    assert refuse(office, 1, 0.0).blocker is Blocker.WAIT


@pytest.mark.parametrize("name", [WATCHED, NAMED])
def test_refused_keys_are_read_again(office: Office, name: str) -> None:
    """Mended keys are in use in the next pass, even if the watch has not told yet."""
    office.write(name, KEYS)
    office.access(name)
    refuse(office, 3, REFUSED_FOR, name)
    office.write(name, OTHER_KEYS)
    access = office.access(name)
    assert access.blocker is Blocker.NONE
    assert access.account
    assert access.account.keys.access_key == OTHER_KEYS[ACCESS_KEY]


def test_changed_keys_begin_with_a_clean_record(office: Office) -> None:
    """Refusals count from the last change of the Secret."""
    office.watch(KEYS)
    office.write(WATCHED, KEYS)
    refuse(office, 3, REFUSED_FOR)
    office.write(WATCHED, OTHER_KEYS)
    office.watch(OTHER_KEYS)
    assert office.access().blocker is Blocker.NONE
    assert refuse(office, 1, 0.0).blocker is Blocker.WAIT


def test_a_refusal_of_keys_that_were_replaced_does_not_count(office: Office) -> None:
    """A pass that began with the old keys says nothing about the new ones."""
    office.watch(KEYS)
    old = office.account()
    office.watch(OTHER_KEYS)
    assert office.credentials.check_refused(("team", WATCHED), old, "") == (0, False)
    assert office.credentials.refused(a_job(), old) is None
    assert office.access().blocker is Blocker.NONE


def test_a_refusal_that_one_object_met_does_not_count(office: Office) -> None:
    """It names the Secret that is to be checked; others go on with the keys."""
    office.write(WATCHED, KEYS)
    account = office.account()
    for _ in range(9):
        assert office.after(REFUSED_FOR).credentials.refused(a_job(), account) == ("team", WATCHED)
    assert office.access().blocker is Blocker.NONE
    assert office.credentials.takes_keys(("team", WATCHED), account) is None
    refuse(office, 1, 0.0)
    assert office.credentials.refused(a_job(), account) is None


def test_an_answer_to_a_user_ends_what_only_checks_find(office: Office) -> None:
    """Users are answered while checks are refused: these count no more, until one of them is accepted."""
    office.write(WATCHED, KEYS)
    account, where = office.account(), ("team", WATCHED)
    refuse(office, 1, 0.0)
    office.credentials.accepted(a_job(), account)  # it was under way when they were refused
    assert office.access().blocker is Blocker.WAIT
    office.after(TRY_AGAIN).credentials.accepted(a_job(), account)
    assert office.credentials.check_refused(where, account, "") == (0, False)
    assert office.access().blocker is Blocker.NONE
    assert office.credentials.unchecked(where) is None
    office.credentials.check_accepted(where, account)
    assert office.credentials.check_refused(where, account, "") == (1, False)


def test_a_refusal_is_of_one_secret(office: Office) -> None:
    """The same access key with a wrong secret key elsewhere does not make the right pair a refused one."""
    office.watch(KEYS)
    office.write(NAMED, {**KEYS, SECRET_KEY: "wrong"})
    assert refuse(office, 3, REFUSED_FOR, NAMED).blocker is Blocker.STALL
    assert office.access().blocker is Blocker.NONE


def test_keys_of_a_gone_secret_are_kept_only_while_they_work(office: Office) -> None:
    """A deletion whose remembered keys are refused names the missing Secret, and at once the way out."""
    office.watch(KEYS)
    account = office.account()
    office.watch(None)
    office.credentials.refused(a_job(deletionTimestamp=BORN), account)
    assert told(office.access(deletionTimestamp=BORN)) == (Blocker.STALL, Reason.CREDENTIALS_NOT_FOUND)


def test_a_deletion_outlives_its_secret(office: Office) -> None:
    """When a namespace goes its Secret may go first: keys that were in use still release what was paid for."""
    office.watch(KEYS)
    account = office.account()
    office.watch(None)
    assert office.account(deletionTimestamp=BORN) is account
    assert office.access().account is None


def test_a_deletion_after_a_restart_has_no_keys(office: Office) -> None:
    """What was never in memory cannot be used; the block names the Secret that is missing."""
    access = office.after(WAIT).access(deletionTimestamp=BORN)
    assert told(access) == (Blocker.STALL, Reason.CREDENTIALS_NOT_FOUND)


def test_another_key_is_the_same_account_only_when_proven(office: Office) -> None:
    """What was recorded under one key and read with another belongs to both; nothing else shows that.

    See docs/design/create-protocol.md#other-accounts.
    """
    office.watch(KEYS)
    old = office.account()
    office.watch(OTHER_KEYS)
    new = office.account()
    same = office.credentials.same_account
    assert same(None, new)
    assert same(new.name, new)
    assert not same(old.name, new)
    office.credentials.accepted(a_job(status={"observedGeneration": 1, "account": old.name}), new)
    assert same(old.name, new)
    assert same(new.name, old)
    assert not same("ffffffff", new)


def test_keys_are_not_shown(office: Office) -> None:
    """An access that reaches a log line shows neither key, nor does a traceback with the variables of every frame."""
    office.watch(KEYS)
    office.write(WATCHED, KEYS)
    shown = f"{office.access()!r} {office.account()!r} {refuse(office, 3, REFUSED_FOR)!r} {vars(office.credentials)}"

    def fail(_: object) -> None:
        raise ValueError("broken")

    office.credentials._connect = fail  # type: ignore[assignment]
    office.watch(OTHER_KEYS)
    with pytest.raises(ValueError, match="broken") as failure:
        office.access()
    assert failure.value.__traceback__
    below = failure.value.__traceback__.tb_next  # this frame knows the keys
    told = "".join(TracebackException(ValueError, failure.value, below, capture_locals=True).format())
    assert "secret = _Secret(data=Sealed(" in told
    assert not [key for key in (*KEYS.values(), *OTHER_KEYS.values()) if key in shown + told]


def remembered(office: Office) -> tuple[int, int]:
    """Count the Secrets and the accounts that are remembered."""
    return len(office.credentials._secrets), len(office.credentials._last)


def test_a_secret_that_nobody_names_is_forgotten(office: Office) -> None:
    """What was read for objects that are gone takes no memory, and its connections are closed."""
    office.write(NAMED, KEYS)
    office.account(NAMED)
    office.access("absent")
    for name in (NAMED, "absent"):
        office.credentials.forget(("team", name))
    assert remembered(office) == (0, 0)
    assert office.closed == office.connected == [AccessKey("ALTAKone", "very-secret")]


def test_what_the_watch_tells_is_known_without_a_user(office: Office) -> None:
    """Of a watched Secret only the connections go; when it goes, too, nothing is left of it."""
    office.write(WATCHED, KEYS)
    office.watch(KEYS)
    office.account()
    office.used = set()
    office.credentials.forget(("team", WATCHED))
    assert remembered(office) == (1, 0)
    office.watch(None)
    assert remembered(office) == (0, 0)


def test_a_secret_that_went_is_remembered_for_its_users(office: Office) -> None:
    """They are waiting for another one, patiently, since it went."""
    office.used = {("team", WATCHED)}
    office.watch(KEYS)
    office.watch(None)
    assert remembered(office) == (1, 0)


def test_connections_that_another_secret_stands_for_stay_open(office: Office) -> None:
    """Two Secrets may hold one key pair, which is one account."""
    for name in (WATCHED, NAMED):
        office.write(name, KEYS)
        office.account(name)
    office.credentials.forget(("team", NAMED))
    assert office.closed == []
    office.credentials.forget(("team", WATCHED))
    assert len(office.closed) == 1


def test_connections_of_keys_that_were_replaced_are_closed(office: Office) -> None:
    """The account of the former keys is used no more."""
    office.write(NAMED, KEYS)
    office.account(NAMED)
    office.write(NAMED, OTHER_KEYS)
    office.after(REREAD).account(NAMED)
    assert [keys.access_key for keys in office.closed] == [KEYS[ACCESS_KEY]]


def test_what_a_reconcile_reads_too_late_is_swept(office: Office) -> None:
    """A reconcile may read a Secret whose last user went a moment ago; such ones do not pile up."""
    office.used = {("team", "one-1")}
    for number in range(2000):
        office.access(f"one-{number}")
    assert remembered(office)[0] < 300
    assert ("team", "one-1") in office.credentials._secrets


def test_labels_and_pairs_of_keys_are_bounded(office: Office) -> None:
    """However many namespaces come and go, and whatever statuses claim, what is remembered has a limit."""
    office.default(KEYS)
    office.long_missed()
    for number in range(5000):
        office.credentials.access(unnamed(namespace=f"ci-{number}"))
        office.after(0.1)
    assert len(office.credentials._labels) <= 4096
    office.write(NAMED, KEYS)
    account = office.account(NAMED)
    for number in range(5000):
        office.credentials.accepted(a_job(status={"account": f"account-{number}"}), account)
    assert len(office.credentials._same) <= 4096
    assert office.credentials.same_account("account-4999", account)
