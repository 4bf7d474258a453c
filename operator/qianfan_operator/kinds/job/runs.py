"""Runs and tasks of the cloud: reading, finding and stopping them."""

import json
import logging
import math
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from qianfan_operator.api.job import JobStatus, RunRecord
from qianfan_operator.api.keys import ExternalId
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.cloud.fields import as_told
from qianfan_operator.cloud.views import Run, RunItem, TaskItem
from qianfan_operator.kinds.interface import (
    MAY_WORK,
    Absent,
    Cause,
    Found,
    Phase,
    Present,
    ReconcileContext,
    Unknown,
    Updates,
)
from qianfan_operator.kinds.marks import Mark

log = logging.getLogger(__name__)

# V1's words, and V2's for a queue that V1 does not show: docs/design/wire.md#states. Anything else is Phase.UNKNOWN and
# shown as it is.
STATES = {
    "RUNNING": Phase.WORKING,
    "FINISH": Phase.READY,
    "FAIL": Phase.FAILED,
    "STOP": Phase.STOPPED,
    "Waiting": Phase.WORKING,
}
ENDED = frozenset({Phase.READY, Phase.FAILED, Phase.STOPPED})
_INPUTS = 16384  # bytes as JSON of what all earlier runs of a status were trained with
MOST = 100
"""Records of runs in a status; a list of the cloud that shows more may not keep the status from being written."""
_STEP = 10  # percent: finer progress is not worth a write
_CONSOLE = "https://console.bce.baidu.com/qianfan/train/sft"
_SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,128}")  # an id that stays one segment of the console's address

RUN_FIELDS = tuple(name for name in RunRecord.model_fields if name in JobStatus.model_fields)
"""What the status says of the current attempt and `runs` of the others."""


def phase_of(record: JobStatus | RunRecord) -> Phase:
    """What the record says of a run; ABSENT if there is none."""
    if record.job_id is None and record.job_uuid is None:
        return Phase.ABSENT
    return STATES.get(record.train_status or "", Phase.UNKNOWN)


def end_of(record: JobStatus | RunRecord) -> Phase | None:
    """Say how a run has ended; None if it has not."""
    phase = phase_of(record)
    return phase if phase in {Phase.READY, Phase.FAILED, Phase.STOPPED} else None


def may_work(record: JobStatus | RunRecord) -> bool:
    """Say whether a run may still cost something."""
    return phase_of(record) in MAY_WORK


def things(record: JobStatus | RunRecord) -> frozenset[ExternalId]:
    """Name the recorded run as what one object may act on: by its ids, and its task where one console's are unknown.

    No call tells a run's integers with its strings, but both consoles tell the name of its task. Whether a run of the
    same integer or name is this one, in the same account, is told by reading it: see `is_read`.
    """
    ids = {"integers": record.job_id, "strings": record.job_uuid}
    known = [console for console, number in ids.items() if number is not None]
    named = {ExternalId(("run", ids[console])) for console in known}
    if len(known) == 1 and record.task_name is not None:
        named.add(ExternalId(("task", as_told(record.task_name)), known[0]))
    return frozenset(named)


def place(task_id: object, task_uuid: object, task_name: object) -> frozenset[Hashable]:
    """Name a task as the place of a run, by whatever is known of it."""
    name = None if task_name is None else as_told(str(task_name))
    known = {"id": task_id, "uuid": task_uuid, "name": name}
    return frozenset((what, value) for what, value in known.items() if value is not None)


def is_read(account: Account, record: JobStatus | RunRecord) -> bool:
    """Say whether these keys see the recorded run: by its string, else by its integers and what else is known of it."""
    integers = record.task_id is not None and record.job_id is not None
    if record.job_uuid is not None:
        try:
            return account.client.fine_tuning_task(record.job_uuid).job_uuid in {None, record.job_uuid}
        except CloudError as error:
            if not (error.unsupported and integers):
                raise
    run = account.client.job_detail(record.task_id or 0, record.job_id or 0) if integers else None
    return run is not None and not is_another(run, record)


def is_another(run: Run, record: JobStatus | RunRecord) -> bool:
    """Say whether a run that was read is surely not the recorded one, though it bears the same integers."""
    return bool(run.task_name and record.task_name) and run.task_name != as_told(record.task_name or "")


def read(account: Account, record: JobStatus | RunRecord) -> Run | None:
    """Read a recorded run, by integers if they are known; None if the record names none."""
    if record.task_id is not None and record.job_id is not None:
        return account.client.job_detail(record.task_id, record.job_id)
    if record.job_uuid is not None:
        return account.client.fine_tuning_task(record.job_uuid)
    return None


def stop(account: Account, record: JobStatus | RunRecord) -> bool:
    """Ask the cloud to stop a recorded run; False: it did not, for the run had ended already.

    See docs/design/wire.md#stopping.
    """
    if record.task_id is not None and record.job_id is not None:
        return account.client.stop_job(record.task_id, record.job_id)
    return record.job_uuid is not None and account.client.stop_fine_tuning_task(record.job_uuid)


Ask = Callable[[Hashable, Hashable, Callable[[], bool]], bool]
"""See ReconcileContext.ask_once."""


def always(_what: Hashable, _state: Hashable, send: Callable[[], bool]) -> bool:
    """Send a request of which nothing is remembered, for its object is gone."""
    return send()


def stop_once(ask: Ask, account: Account, record: JobStatus | RunRecord, state: str | None) -> bool:
    """Ask the cloud to stop a run, once for each state in which it shows it; see `stop`."""
    return ask(("run", record.job_id, record.job_uuid), state, lambda: stop(account, record))


def unlisted(account: Account, record: JobStatus | RunRecord, error: CloudError) -> bool:
    """Say whether a run that V2 refuses to describe is gone: the code for that is not known, its lists are.

    Two complete scans must not show it in its task.

    See docs/design/wire.md#error-codes, docs/design/create-protocol.md#two-complete-scans.
    """
    if error.reason is not Reason.REFUSED or record.task_uuid is None:
        return False
    name = as_told(record.task_name or "")
    for _ in range(2):
        tasks = account.client.fine_tuning_jobs()
        if any(task.task_uuid is None and name in {"", task.name} for task in tasks):
            return False  # it may be this one
        listed = any(task.task_uuid == record.task_uuid for task in tasks)
        listed_runs = account.client.fine_tuning_tasks(record.task_uuid) if listed else ()
        if any(run.job_uuid == record.job_uuid for run in listed_runs):
            return False
    return True


def facts(run: Run, record: JobStatus | RunRecord) -> Updates:
    """What a look at a run adds to its record; progress in steps, the durations only at the end."""
    updates: dict[str, Any] = {
        "train_status": run.status,
        "start_time": run.start_time or record.start_time,
        "vdl_link": run.vdl_link or record.vdl_link,
    }
    phase, before = STATES.get(run.status), record.progress
    progress, ended = 100 if phase is Phase.READY else run.progress, phase in ENDED  # the cloud's last word may be 99
    if progress is not None and (before is None or ended or progress >= before + _STEP):
        updates["progress"] = progress
    if ended:
        updates["finish_time"] = run.finish_time
        updates["run_time_seconds"] = run.run_time_seconds
        updates["train_time_seconds"] = run.train_time_seconds
    return updates


def page(record: JobStatus | RunRecord) -> str | None:
    """The address of a run in the console; None as long as its strings are not known, or are no ids."""
    task, job = record.task_uuid or "", record.job_uuid or ""
    ids = _SEGMENT.fullmatch(task) and _SEGMENT.fullmatch(job)
    return f"{_CONSOLE}/{task}/{job}/detail/traininglog" if ids else None


def running_seconds(run: Run, now: str | None) -> int:
    """How long a run has worked: by the cloud's own count, else since it began, by the cloud's time.

    See docs/design/errors-and-timing.md#deadlines.
    """
    if run.run_time_seconds is not None:
        return run.run_time_seconds
    if not run.start_time or now is None:
        return 0
    return int(began(now) - began(run.start_time))


def began(time: str | None) -> float:
    """Return a time of the cloud's as seconds since 1970; what is not known comes last."""
    return datetime.fromisoformat(time).timestamp() if time else math.inf


def record_of(status: JobStatus) -> RunRecord:
    """Return the current attempt as `runs` shows it."""
    return RunRecord.model_validate(
        {**{name: getattr(status, name) for name in RUN_FIELDS}, "attempt": status.attempt or 0}
    )


def besides(recorded: Iterable[RunRecord], made: Iterable[RunRecord]) -> tuple[RunRecord, ...]:
    """The records, and with them runs that no attempt goes by, each under the next free number below 1.

    At most MOST in all: beyond that, ended ones make room, and the rest is recorded when there is room for it.
    """
    all_ = tuple(recorded)
    for record in made:
        if len(all_) >= MOST:
            all_ = tuple(known for known in all_ if known.attempt >= 1 or known.pending or may_work(known))
        if len(all_) >= MOST:
            log.warning("The cloud shows more runs than a status records", extra={"task": record.task_name})
            break
        if phase_of(record) is not Phase.ABSENT:
            number = min([1, *(known.attempt for known in all_)]) - 1
            all_ += (record.model_copy(update={"attempt": number, "pending": None}),)
    return all_


def archived(status: JobStatus) -> tuple[RunRecord, ...]:
    """The runs, with the current attempt's among them: newest first, at most ten, none dropped that may cost.

    An attempt that never came to a run is not among them: there is nothing to go back to.
    """
    if status.attempt is None:
        return status.runs
    others = [run for run in status.runs if run.attempt != status.attempt]
    current = [record_of(status)] if status.pending or phase_of(status) is not Phase.ABSENT else []
    runs = sorted([*current, *others], key=lambda run: -run.attempt)
    kept = [run for index, run in enumerate(runs) if index < 10 or run.pending or may_work(run)]
    return tuple(_shortened(kept))


def _shortened(records: Iterable[RunRecord]) -> Iterator[RunRecord]:
    """Keep what earlier runs were trained with as long as it fits into a status; their hashes stay in any case."""
    left = _INPUTS
    for record in records:
        size = len(json.dumps(record.inputs, ensure_ascii=False, default=str).encode(errors="replace"))
        left -= size
        if record.inputs is not None and left < 0:
            short = {name: value for name, value in record.inputs.items() if name not in {"trainConfig", "trainset"}}
            yield record.model_copy(update={"inputs": short})
        else:
            yield record


def owned_tasks(account: Account, mark: Mark) -> Iterator[tuple[TaskItem, Mark]]:
    """The tasks that bear a mark of this object, whatever the attempt, by one complete scan."""
    for item in account.client.fine_tuning_jobs():
        found = Mark.read(item.description)
        if found is not None and mark.same_object(found):
            yield item, found


@dataclass(frozen=True)
class Several(Unknown):
    """A task that should hold one run holds more."""

    runs: tuple[RunItem, ...] = ()


def look(ctx: ReconcileContext, account: Account, inputs: Mapping[str, Any]) -> Found:
    """Look for the run that an unconfirmed createJob may have made in its task, by two complete scans.

    See docs/design/create-protocol.md#two-complete-scans.
    """
    uuid = inputs.get("taskUuid")
    message = (
        f"Cannot determine whether createJob created a run in task {inputs.get('taskName')} ({inputs['taskId']}): "
    )
    if not uuid:
        return Unknown(Cause(Reason.CREATE_OUTCOME_UNKNOWN, message + "the cloud gave it no string id."))
    try:
        for _ in range(2):
            if not any(item.task_uuid == uuid for item in account.client.fine_tuning_jobs()):
                return Unknown(Cause(Reason.CREATE_OUTCOME_UNKNOWN, message + "its lists do not show it."))
            runs = account.client.fine_tuning_tasks(uuid)
            if len(runs) > 1:
                ids = ", ".join(run.job_uuid for run in runs)
                several = f"Task {uuid} holds several runs: {ids}. Set spec.adopt to the one to keep."
                return Several(Cause(Reason.DUPLICATE_CLOUD_RESOURCE, several), runs=tuple(runs))
            if runs:
                found = {"job_id": None, "job_uuid": runs[0].job_uuid, "train_status": runs[0].status}
                return Present(found, marked=True)  # the task is this intent's alone
        if run_list_probe(ctx, account):
            return Absent()
    except CloudError as error:
        if not error.unsupported:
            raise
        return Unknown(Cause(Reason.CREATE_OUTCOME_UNKNOWN, message + "V2 is not available."))
    message += f"{UNPROVEN}."
    return Unknown(Cause(Reason.CREATE_OUTCOME_UNKNOWN, message))


UNPROVEN = "V2 lists have not yet been shown to include V1 runs for this access key"


def run_list_probe(ctx: ReconcileContext, account: Account) -> bool:
    """Say whether V2 lists show these keys what V1 made, by a run of which both ids are known.

    See docs/design/wire.md#idempotency-and-names.
    """
    list_probe = None if account.list_probe_passed else ctx.list_probe(account.name)
    if list_probe:
        task_uuid, job_uuid = list_probe
        runs = account.client.fine_tuning_tasks(task_uuid)
        account.list_probe_passed = any(run.job_uuid == job_uuid for run in runs)
    return account.list_probe_passed
