"""A tenant that asks for very much: others' keys still get a worker. Counts only; no time is measured."""

from dataclasses import dataclass, field

import pytest

from qianfan_operator.api.keys import Key
from qianfan_operator.controller.flows import Flows
from qianfan_operator.reconcile.priorities import Priority
from qianfan_operator.reconcile.store import Store
from reconcile.world import Clock, Idle, Queue
from unit.objects import raw

MANY = 10_000


@dataclass
class Secrets:
    """Stands for the credentials: what is known of each Secret is the account of its keys."""

    accounts: dict[tuple[str, str], str] = field(default_factory=dict)

    def known_account(self, sources: tuple[tuple[str, str], ...]) -> str | None:
        return next((self.accounts[where] for where in sources if where in self.accounts), None)


class Floor:
    """The queue as the operator puts it together; workers who hang never come back."""

    def __init__(self, workers: int = 16) -> None:
        self.store, self.secrets, self.clock = Store(), Secrets(), Clock()
        flows = Flows(self.store, self.secrets)  # type: ignore[arg-type]
        self.queue = Queue(self.clock, flows, workers)
        self.workers = workers

    def know(self, key: Key, secret: str = "qianfan-credentials", account: str | None = None) -> Key:
        """Have an object known to the operator, with the Secret that it names and the account in its status."""
        record = self.store.put(key, raw(key), keep_body=True)
        assert record
        self.store.keyed_by(key, ((key.namespace, secret),))
        record.account = account
        return key

    def hang(self) -> list[Key]:
        """Hand out keys to workers, all of which hang, until none is left to take one, or none may be taken."""
        taken: list[Key] = []
        while len(taken) < self.workers:
            try:
                key = self.queue.take_until(self.clock.boot)
            except Idle:
                break
            assert key
            taken.append(key)
        return taken

    def serve(self) -> Key:
        """Make one reconcile; return its key."""
        key = self.queue.take_until(self.clock.boot)
        assert key
        self.queue.done(key)
        return key


@pytest.fixture
def floor() -> Floor:
    return Floor()


def of(namespace: str, number: int = 0) -> Key:
    return Key("qianfanjobs", namespace, f"job-{number:05}")


def test_other_secret_names_are_no_way_around_the_cap(floor: Floor) -> None:
    """A tenant whose every object names another Secret occupies half of the workers, as with one Secret."""
    for number in range(100):
        floor.queue.add(floor.know(of("hostile", number), f"secret-{number}"))
    floor.queue.add(floor.know(of("quiet")))
    taken = floor.hang()
    assert of("quiet") in taken
    assert sum(key.namespace == "hostile" for key in taken) == floor.workers // 2 - 1  # one less than it has is free


def test_other_accounts_are_no_way_around_the_cap(floor: Floor) -> None:
    """Nor is it one to bring as many accounts as objects."""
    for number in range(100):
        floor.queue.add(floor.know(of("hostile", number), f"secret-{number}", account=f"account-{number}"))
    floor.queue.add(floor.know(of("quiet"), account="own"))
    taken = floor.hang()
    assert of("quiet") in taken
    assert sum(key.namespace == "hostile" for key in taken) == floor.workers // 2 - 1  # one less than it has is free


@pytest.mark.parametrize("known_by", ["status", "secret", "nothing"])
def test_many_namespaces_of_one_account_that_hangs(floor: Floor, known_by: str) -> None:
    """The calls of one account hang, in as many namespaces as there are: there are workers left for the others.

    New objects have no status yet: the account is that of the keys in their Secret, and what is not known yet is one.
    """
    for number in range(100):
        key = of(f"hostile-{number}")
        floor.know(key, account="hanging" if known_by == "status" else None)
        if known_by == "secret":
            floor.secrets.accounts[key.namespace, "qianfan-credentials"] = "hanging"
        floor.queue.add(key)
    floor.queue.add(floor.know(of("quiet"), account="own"))
    taken = floor.hang()
    assert of("quiet") in taken
    most = floor.workers * 3 // 4 if known_by == "nothing" else floor.workers // 2
    assert sum(key.namespace.startswith("hostile") for key in taken) == most


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("tenants", [2, 3, 10])
def test_slow_calls_of_some_tenants_leave_a_worker(floor: Floor, tenants: int, priority: Priority) -> None:
    """All that some namespaces, each with its own account, can occupy hangs: a key of another one is taken at once."""
    for tenant in range(tenants):
        for number in range(50):
            floor.queue.add(floor.know(of(f"hostile-{tenant}", number), account=f"account-{tenant}"), priority=priority)
    floor.clock.advance(1.0)
    taken = floor.hang()
    assert len(taken) < floor.workers
    floor.queue.add(floor.know(of("quiet"), account="own"), priority=priority)
    floor.clock.advance(1.0)
    assert floor.serve() == of("quiet")


@pytest.mark.parametrize("priority", Priority)
def test_slow_calls_of_two_tenants_leave_several_workers(floor: Floor, priority: Priority) -> None:
    """Nor does another one have to work off its keys one by one then."""
    for tenant in range(2):
        for number in range(50):
            floor.queue.add(floor.know(of(f"hostile-{tenant}", number), account=f"account-{tenant}"), priority=priority)
    floor.clock.advance(1.0)
    floor.hang()
    for number in range(50):
        floor.queue.add(floor.know(of("quiet", number), account="own"), priority=priority)
    floor.clock.advance(1.0)
    taken = floor.hang()
    assert {key.namespace for key in taken} == {"quiet"}
    assert len(taken) >= 2


@pytest.mark.parametrize("priority", Priority)
def test_a_burst_delays_another_namespace_by_one_reconcile(floor: Floor, priority: Priority) -> None:
    """Ten thousand keys of one namespace, and then one of another: it is the second, at the latest."""
    for number in range(MANY):
        floor.queue.add(floor.know(of("hostile", number)), priority=priority)
    floor.clock.advance(1.0)
    first = floor.serve()
    floor.queue.add(floor.know(of("quiet")), priority=priority)
    floor.clock.advance(1.0)
    assert first.namespace == "hostile"
    assert of("quiet") in [floor.serve() for _ in range(2)]


@pytest.mark.parametrize("priority", [Priority.RETRY, Priority.POLL])
@pytest.mark.parametrize("tenants", [1, 5])
def test_endless_urgent_work_leaves_others_their_retries_and_polls(
    floor: Floor, priority: Priority, tenants: int
) -> None:
    """Who patches a thousand specs in a loop has always urgent keys; a retry or a poll elsewhere gets its turn."""
    floor.queue.add(floor.know(of("quiet")), priority=priority)
    for number in range(1000):
        for tenant in range(tenants):
            floor.queue.add(floor.know(of(f"hostile-{tenant}", number)))
    served: list[str] = []
    while "quiet" not in served and len(served) < 500:
        key = floor.serve()
        served.append(key.namespace)
        floor.clock.advance(0.01)
        floor.queue.add(key)
    assert served[-1] == "quiet"
    assert len(served) <= 12


@pytest.mark.parametrize("priority", [Priority.DELETION, Priority.URGENT])
def test_who_overspends_has_others_urgent_work_go_first(floor: Floor, priority: Priority) -> None:
    """Beyond its budget a tenant's urgent keys wait with the retries, and others' urgent ones go before them all.

    Who patches the specs of objects that are being deleted makes deletions: they are in the same budget.
    """
    for number in range(1000):
        floor.queue.add(floor.know(of("hostile", number)), priority=priority)
    while floor.queue.depth()[priority] > 900:
        floor.serve()
    for number in range(20):
        floor.queue.add(floor.know(of("quiet", number)))
    served = [floor.serve().namespace for _ in range(24)]
    assert served.count("quiet") == 20


def test_a_loop_of_patches_fills_no_memory(floor: Floor) -> None:
    """Each patch makes its key due at once, and each reconcile asks for a look much later: nothing of it piles up."""
    keys = [floor.know(of("hostile", number)) for number in range(1000)]
    for _ in range(20):
        for key in keys:
            floor.queue.add(key)
        for _ in keys:
            floor.queue.add(floor.serve(), 600.0, Priority.POLL)
        floor.clock.advance(0.5)
    assert len(floor.queue._later) < 3 * len(keys)
