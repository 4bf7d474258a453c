"""From the Secret that an object names to an account: patience first, then plain words, and no key outside memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from fake_kube import FakeKube
from qianfan_operator.api.common import ACCESS_KEY, SECRET_KEY, Resource
from qianfan_operator.cloud.keys import AccessKey
from qianfan_operator.credentials import REFUSED_FOR, REREAD, TRY_AGAIN, Access, Account, Credentials
from qianfan_operator.decide import Trouble
from qianfan_operator.kinds import BY_PLURAL
from qianfan_operator.kube import Forbidden, KubeError
from qianfan_operator.reasons import Reason
from unit.objects import BORN, JOB, Raw, raw

WAIT = 120.0
WATCHED, NAMED = "qianfan-credentials", "team-keys"
KEYS = {ACCESS_KEY: "ALTAKone", SECRET_KEY: "very-secret"}
OTHER_KEYS = {ACCESS_KEY: "ALTAKtwo", SECRET_KEY: "also-secret"}


@dataclass
class Office:
    """Credentials beside a cluster whose Secrets and time a test sets."""

    boot: float = 1000.0
    wall: float = datetime.fromisoformat(BORN).timestamp()
    reads: int = 0
    refusal: Callable[[], Exception] | None = None
    connected: list[AccessKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kube = FakeKube({plural: kind.resource for plural, kind in BY_PLURAL.items()}, lambda: BORN)
        self.kube.around = self._around
        self.credentials = Credentials(self.kube, self._connect, WAIT, lambda: self.boot, lambda: self.wall)  # type: ignore[arg-type]

    def _around(self, operation: str, do: Callable[[], Any]) -> Any:
        self.reads += 1
        if self.refusal:
            raise self.refusal()
        return do()

    def _connect(self, keys: AccessKey) -> Any:
        self.connected.append(keys)
        return object()

    def write(self, name: str, keys: Raw | None) -> None:
        """Change a Secret of the cluster; None deletes it."""
        if keys is None:
            del self.kube.secrets["team", name]
        else:
            self.kube.secrets["team", name] = keys

    def watch(self, keys: Raw | None) -> bool:
        """Let the watch see the Secret of the default name as it is written now."""
        return self.credentials.changed("team", WATCHED, keys)

    def after(self, seconds: float) -> "Office":
        self.boot += seconds
        self.wall += seconds
        return self

    def access(self, name: str = WATCHED, **metadata: Any) -> Access:
        return self.credentials.access(a_job(name, **metadata))

    def account(self, name: str = WATCHED, **metadata: Any) -> Account:
        account = self.access(name, **metadata).account
        assert account
        return account


def a_job(secret: str = WATCHED, status: Raw | None = None, **metadata: Any) -> Resource:
    spec = {"credentialsRef": {"name": secret}}
    return BY_PLURAL[JOB.plural].resource.parse(raw(JOB, spec=spec, status=status, **metadata))


def told(access: Access) -> tuple[Trouble, Reason]:
    return access.trouble, access.why.reason


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.mark.parametrize("name", [WATCHED, NAMED])
def test_keys_give_an_account(office: Office, name: str) -> None:
    """The Secret that the object names, and the default one if it names none, is its access to the cloud."""
    office.write(name, KEYS)
    access = office.access(name)
    assert access.trouble is Trouble.NONE
    assert access.account
    assert access.account.name == AccessKey("ALTAKone", "x").account


@pytest.mark.parametrize("name", [WATCHED, NAMED])
def test_a_missing_secret_is_waited_for(office: Office, name: str) -> None:
    """It may come with the same chart; only when it has not, some time after the object, a person must act."""
    assert told(office.access(name)) == (Trouble.WAIT, Reason.CREDENTIALS_NOT_FOUND)
    assert told(office.after(WAIT - 1).access(name)) == (Trouble.WAIT, Reason.CREDENTIALS_NOT_FOUND)
    stalled = office.after(1).access(name)
    assert told(stalled) == (Trouble.STALL, Reason.CREDENTIALS_NOT_FOUND)
    assert all(word in stalled.why.message for word in (name, ACCESS_KEY, SECRET_KEY))


def test_an_old_object_is_not_given_new_patience_by_a_restart(office: Office) -> None:
    """A Stalled that a person has seen does not come and go with our process."""
    office.after(10 * WAIT)
    assert office.access().trouble is Trouble.STALL


@pytest.mark.parametrize("name", [WATCHED, NAMED])
def test_a_deleted_secret_is_waited_for_again(office: Office, name: str) -> None:
    """It may be about to be replaced: patience counts from its last sight, however old the object is."""
    office.write(name, KEYS)
    office.after(10 * WAIT).access(name)
    office.after(10 * WAIT).access(name)
    office.write(name, None)
    if name == WATCHED:
        office.watch(None)
    assert told(office.after(REREAD).access(name)) == (Trouble.WAIT, Reason.CREDENTIALS_NOT_FOUND)
    assert office.after(WAIT).access(name).trouble is Trouble.STALL


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
    assert told(first) == (Trouble.WAIT, Reason.CREDENTIALS_NOT_FOUND)
    assert first.why.message.endswith(lacking)
    assert office.after(WAIT).access().trouble is Trouble.STALL


def test_a_forbidden_secret_has_its_own_reason(office: Office) -> None:
    """Who chose a name of their own learns that a Role is lacking, not that the Secret is."""
    office.write(NAMED, KEYS)
    office.refusal = lambda: Forbidden("no")
    assert told(office.access(NAMED)) == (Trouble.WAIT, Reason.CREDENTIALS_FORBIDDEN)
    stalled = office.after(WAIT).access(NAMED)
    assert told(stalled) == (Trouble.STALL, Reason.CREDENTIALS_FORBIDDEN)
    assert NAMED in stalled.why.message
    office.refusal = None
    assert office.access(NAMED).trouble is Trouble.NONE


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


def refuse(office: Office, times: int, every: float, name: str = WATCHED) -> Access:
    """Have the cloud refuse the keys so many times."""
    for _ in range(times):
        office.after(every).credentials.refused(a_job(name))
    return office.access(name)


@pytest.mark.parametrize(
    ("times", "every", "trouble"),
    [
        pytest.param(1, 0.0, Trouble.WAIT, id="once"),
        pytest.param(9, 1.0, Trouble.WAIT, id="often, within a minute"),
        pytest.param(2, REFUSED_FOR, Trouble.WAIT, id="twice, over a minute"),
        pytest.param(3, REFUSED_FOR / 2, Trouble.STALL, id="three times over a minute"),
    ],
)
def test_refused_keys_get_a_chance(office: Office, times: int, every: float, trouble: Trouble) -> None:
    """Keys are edited in two steps and the cloud's IAM lags: only lasting refusals are the user's to mend."""
    office.write(WATCHED, KEYS)
    office.access()
    assert told(refuse(office, times, every)) == (trouble, Reason.CREDENTIALS_INVALID)


def test_refused_keys_are_tried_again_by_themselves(office: Office) -> None:
    """A permission that was granted in the cloud needs no edit of the Secret; one answer ends the refusals."""
    office.write(WATCHED, KEYS)
    account = office.account()
    assert refuse(office, 3, REFUSED_FOR).account is account
    assert office.after(TRY_AGAIN).access().trouble is Trouble.NONE
    office.credentials.accepted(a_job(), account)
    assert refuse(office, 1, 0.0).trouble is Trouble.WAIT


@pytest.mark.parametrize("name", [WATCHED, NAMED])
def test_refused_keys_are_read_again(office: Office, name: str) -> None:
    """Mended keys are in use in the next pass, even if the watch has not told yet."""
    office.write(name, KEYS)
    office.access(name)
    refuse(office, 3, REFUSED_FOR, name)
    office.write(name, OTHER_KEYS)
    access = office.access(name)
    assert access.trouble is Trouble.NONE
    assert access.account
    assert access.account.keys.access_key == OTHER_KEYS[ACCESS_KEY]


def test_changed_keys_begin_with_a_clean_record(office: Office) -> None:
    """Refusals count from the last change of the Secret."""
    office.watch(KEYS)
    office.write(WATCHED, OTHER_KEYS)
    refuse(office, 3, REFUSED_FOR)
    office.watch(OTHER_KEYS)
    assert office.access().trouble is Trouble.NONE
    assert refuse(office, 1, 0.0).trouble is Trouble.WAIT


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
    assert told(access) == (Trouble.STALL, Reason.CREDENTIALS_NOT_FOUND)


def test_another_key_is_the_same_account_only_when_proven(office: Office) -> None:
    """What was recorded under one key and read with another belongs to both; nothing else shows that (design 5.10)."""
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
    """An access that reaches a log line or a traceback shows the account's hash and neither key."""
    office.watch(KEYS)
    shown = f"{office.access()!r} {office.account()!r} {refuse(office, 3, REFUSED_FOR)!r}"
    assert not [key for key in KEYS.values() if key in shown]
