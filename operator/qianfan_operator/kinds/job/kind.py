"""The kind QianfanJob: createTask, createJob, jobDetail, stopJob."""

from collections.abc import Container, Hashable
from typing import Any

from qianfan_operator.api.common import FINALIZER, Pending
from qianfan_operator.api.conditions import SUCCEEDED
from qianfan_operator.api.job import JobStatus, QianfanJob, RunRecord
from qianfan_operator.api.keys import ExternalId, Key
from qianfan_operator.api.reasons import Reason
from qianfan_operator.api.training import create_job_body, inputs_hash, training_inputs
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.cloud.fields import as_told
from qianfan_operator.kinds import edits
from qianfan_operator.kinds.interface import (
    MAY_WORK,
    Cause,
    Create,
    Found,
    Kind,
    Observation,
    Phase,
    Plan,
    ReconcileContext,
    Released,
    Step,
    Updates,
    UpdateStatus,
    Wait,
    Want,
)
from qianfan_operator.kinds.job import adopting, attempts, bases, outcomes, restoring, runs, selection, tasks, unpaid
from qianfan_operator.kinds.marks import Mark


class JobKind(Kind[QianfanJob]):
    """Training."""

    resource = QianfanJob
    condition = SUCCEEDED

    def references(self, resource: QianfanJob) -> tuple[Key, ...]:
        """See Kind."""
        base = resource.spec.incremental_from
        if base is None or base.job_ref is None:
            return ()
        return (Key(self.plural, resource.metadata.namespace, base.job_ref.name),)

    def holds(self, status: JobStatus) -> frozenset[ExternalId]:
        """See Kind: the runs of all attempts."""
        recorded: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
        return frozenset().union(*map(runs.things, recorded))

    def complete(self, status: JobStatus) -> bool:
        """See Kind: as far as no search for earlier runs is left."""
        return status.highest_attempt is not None and bool(self.holds(status))

    def takes(self, status: JobStatus) -> frozenset[ExternalId]:
        """See Kind: run by run."""
        recorded: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
        return frozenset().union(*(runs.things(record) for record in recorded if record.adopted))

    def made_last(self, status: JobStatus) -> frozenset[ExternalId]:
        """See Kind: earlier attempts may be another account's."""
        return runs.things(status)

    def intends(self, status: JobStatus) -> frozenset[Hashable]:
        """See Kind: the task of the createJob."""
        inputs = status.pending.inputs if status.pending else {}
        return runs.place(inputs.get("taskId"), inputs.get("taskUuid"), inputs.get("taskName"))

    def places(self, status: JobStatus, things: Container[ExternalId]) -> frozenset[Hashable]:
        """See Kind: the tasks of the runs."""
        recorded: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
        found = (record for record in recorded if any(thing in things for thing in runs.things(record)))
        return frozenset().union(*(runs.place(one.task_id, one.task_uuid, one.task_name) for one in found))

    def reads(self, account: Account, status: JobStatus, thing: ExternalId) -> bool:
        """See Kind."""
        recorded: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
        found = (record for record in recorded if thing in runs.things(record))
        return any(runs.is_read(account, record) for record in found)

    def mark_of(self, account: Account, status: JobStatus, thing: ExternalId) -> Mark | None:
        """See Kind: of its task."""
        recorded: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
        names = {as_told(record.task_name or "") for record in recorded if thing in runs.things(record)}
        found = (item for item in account.client.fine_tuning_jobs() if item.name in names)
        return next(filter(None, (Mark.read(item.description) for item in found)), None)

    def disown(self, status: JobStatus, lost: Container[ExternalId]) -> Updates:
        """See Kind."""

        def has(record: JobStatus | RunRecord) -> bool:
            return any(thing in lost for thing in runs.things(record))

        kept = tuple(record for record in status.runs if not has(record))
        return {**(attempts.FRESH if has(status) else {}), "runs": kept}

    def without(self, resource: QianfanJob, updates: Updates, lost: Container[ExternalId]) -> Updates:
        """See Kind: an earlier run that others hold is not recorded, nor is its attempt begun anew."""
        status = resource.status
        if "runs" not in updates or (status.highest_attempt is None and not resource.metadata.deletion_timestamp):
            return updates  # a recovery rather tells who holds what was found
        kept = (record for record in updates["runs"] if not any(one in lost for one in runs.things(record)))
        return {**updates, "runs": tuple(kept)}

    def signal(self, resource: QianfanJob) -> Hashable:
        """See Kind: how each attempt ended, which others may publish, and whether they may train on."""
        spec, status = resource.spec, resource.status
        recorded: tuple[JobStatus | RunRecord, ...] = (status, *status.runs)
        ends = tuple((record.attempt, runs.end_of(record), bases.peft_type(record)) for record in recorded)
        return spec.attempt, spec.peft_type, spec.incremental_from is None, ends

    def ended(self, status: JobStatus) -> Hashable:
        """See Kind: the run of the current attempt."""
        return restoring.ended(status)

    def restored(self, resource: QianfanJob, ended: Hashable) -> Updates:
        """See Kind."""
        return restoring.restored(resource, ended) if isinstance(ended, tuple) else {}

    def unapplied(self, resource: QianfanJob) -> str:
        """See Kind."""
        spec, status = resource.spec, resource.status
        if spec.attempt != status.attempt or runs.phase_of(status) is Phase.ABSENT:
            return ""
        way = "Undo the change, or raise spec.attempt to use it for a new run, which is paid for."
        sent = {"description": (status.sent_description, spec.description)}
        return edits.unapplied(sent, "the description of a run", way)

    def earlier(self, status: JobStatus) -> tuple[RunRecord, ...]:
        """See Kind."""
        return tuple(sorted(status.runs, key=lambda run: run.pending is None and not runs.may_work(run)))

    def begun(self, status: JobStatus) -> int | None:
        """See Kind."""
        return status.highest_attempt

    def list_probe_of(self, status: JobStatus) -> tuple[str, str] | None:
        """See Kind: a run with both ids."""
        if status.job_id is None or status.task_uuid is None or status.job_uuid is None:
            return None
        return status.task_uuid, status.job_uuid

    def plan(self, ctx: ReconcileContext, resource: QianfanJob) -> Plan:
        """See Kind: a status that was wiped is completed before anything else is asked.

        See docs/design/create-protocol.md#recovering-a-status.
        """
        if FINALIZER in resource.metadata.finalizers and resource.status.highest_attempt is None:
            return Plan(Want.RECOVER_STATUS)
        return selection.plan(ctx, resource)

    def observe_recorded(self, resource: QianfanJob) -> Observation:
        """See Kind."""
        status = resource.status
        phase = runs.phase_of(status) if status.attempt == resource.spec.attempt else Phase.ABSENT
        why, others = attempts.why(phase, resource, status.train_status), bool(attempts.others(resource))
        return Observation(phase, why, others_working=others)

    def observe(self, ctx: ReconcileContext, account: Account, resource: QianfanJob) -> Observation:
        """Look at every recorded run that may still work, the selected one and the others."""
        status, spec = resource.status, resource.spec
        selected, updates, word = spec.attempt == status.attempt, dict[str, Any](), status.train_status
        run, current = attempts.look_at_current(account, status, again=ctx.altered)
        if run:
            updates, word = {**runs.facts(run, status), "console_url": runs.page(status)}, run.status
        overdue = run is not None and current in MAY_WORK and attempts.overdue(account, resource, run)
        unseen = current is Phase.GONE and status.account != account.name  # others may not see what is there (5.10)
        earlier = [attempts.seen_again(ctx, account, resource, record) for record in status.runs]
        others = [one for one in earlier if runs.may_work(one.record) and one.record.attempt != spec.attempt]
        if earlier:
            updates["runs"] = tuple(one.record for one in earlier)
        late = {one.record.attempt for one in others if one.overdue} | ({status.attempt} if overdue else set())
        seen = resource.model_copy(update={"status": status.model_copy(update=updates)})
        first = attempts.others(seen)[:1]
        phase = current if selected else Phase.ABSENT
        return Observation(
            phase,
            attempts.why(phase, seen, word),
            updates,
            others_working=bool(others) or (not selected and (unseen or current in MAY_WORK)),
            others_overdue=any(record.attempt in late for record in first),
            deadline_passed=selected and overdue,
            looked=run is not None or any(one.looked for one in earlier) or (selected and current is Phase.GONE),
            warning=attempts.unseen(run, status),
        )

    def select(self, resource: QianfanJob) -> Updates:
        """See Kind: an earlier attempt."""
        return selection.select(resource)

    def create(self, ctx: ReconcileContext, account: Account, resource: QianfanJob, plan: Plan) -> Step:
        """See Kind: adopt a run, find an earlier life's, or claim a task and pay."""
        spec, status, attempt = resource.spec, resource.status, resource.spec.attempt
        if status.highest_attempt is None:  # its number says that it had a life before
            return self.recover_status(ctx, account, resource, plan)
        if adopting.adopts(resource):
            return adopting.adopt(ctx, account, resource)
        mark = Mark.of(ctx.cluster, resource.metadata, resource.kind, attempt, inputs_hash(spec))
        if made := unpaid.made_before(ctx, account, resource, mark):
            return adopting.advise(resource, made) if isinstance(made, Wait) else made
        base = bases.with_integers(ctx, account, resource, plan.inputs["base"]) if plan.inputs else None
        if isinstance(base, Wait):
            return base
        begin: dict[str, Any] = {
            "attempt": attempt,
            "highest_attempt": max(attempt, status.highest_attempt or 0),
            "inputs_hash": inputs_hash(spec),
            "inputs": training_inputs(spec),
            "sent_description": spec.description or "",
            "base": base,
            "account": account.name,
        }
        same = attempt == status.attempt and status.account == account.name and status.inputs == training_inputs(spec)
        if same and status.task_id is not None:  # in another account, its number may be somebody else's
            claimed = tasks.Claimed(status.task_id, status.task_uuid, status.task_name or "")
        else:
            begin = {
                **attempts.FRESH,
                "runs": runs.archived(status) if status.attempt != attempt else status.runs,
                **begin,
            }
            result = tasks.claim(ctx, account, resource, mark)
            if isinstance(result, Wait):
                return adopting.advise(resource, result)
            if isinstance(result, tasks.Found):
                found = {"task_name": result.task_name, "task_uuid": result.task_uuid, "job_uuid": result.run.job_uuid}
                return UpdateStatus({**begin, **found, "train_status": result.run.status}, marked=True)
            claimed = result
            begin |= {"task_name": claimed.name, "task_id": claimed.task_id, "task_uuid": claimed.task_uuid}
        body = create_job_body(spec, claimed.task_id, (base.task_id or 0, base.job_id or 0) if base else None)
        inputs = {"taskId": claimed.task_id, "taskUuid": claimed.task_uuid, "taskName": claimed.name}
        return Create("createJob", inputs, lambda client: client.prepare_create_job(body), begin, attempt)

    def recover_status(self, ctx: ReconcileContext, account: Account, resource: QianfanJob, plan: Plan) -> Step:
        """See Kind: the runs of all attempts; or the one that is taken over, which needs no search."""
        spec, status = resource.spec, resource.status
        if status.highest_attempt is not None:  # the process was only interrupted: it knows that the object is new
            return UpdateStatus({})
        if adopting.adopts(resource):
            return adopting.adopt(ctx, account, resource)
        mark = Mark.of(ctx.cluster, resource.marked_metadata, resource.kind, spec.attempt, inputs_hash(spec))
        result = tasks.find_all(ctx, account, mark)
        if isinstance(result, Wait):
            return adopting.advise(resource, result)
        found = attempts.recovered_runs(resource, mark, result)
        late = {record.attempt: record for record in status.runs}  # a late reply may have come after the wipe
        found = (*late.values(), *(record for record in found if record.attempt not in late))
        highest = max([0, *(record.attempt for record in found)])
        return UpdateStatus({"highest_attempt": highest, "runs": found, "account": account.name}, marked=True)

    def begin(self, resource: QianfanJob) -> Updates:
        """Mark the status of a plain new object as complete: the name lock is enough for it, no recovery is needed."""
        status = resource.status
        new = resource.spec.attempt == 1 and status.highest_attempt is None and status.account is None
        return {"highest_attempt": 0} if new else {}

    def refused(self, error: CloudError) -> Updates:
        """Let what is trained be mended without another attempt: nothing was paid for. A task that is gone is left."""
        gone = dict.fromkeys(("task_id", "task_uuid", "task_name")) if error.fate is Fate.GONE else {}
        return {"inputs_hash": None, **gone}

    def status_after_create(self, resource: QianfanJob, pending: Pending, reply: Any) -> Updates:
        """See Kind."""
        return outcomes.status_after_create(resource.status, pending, reply)

    def recorded_ids(self, resource: QianfanJob, pending: Pending) -> tuple[object, ...] | None:
        """See Kind."""
        return outcomes.recorded_ids(resource.status, pending)

    def ids_of(self, updates: Updates) -> tuple[object, ...]:
        """See Kind."""
        return updates.get("job_id"), updates.get("job_uuid")

    def decided(self, resource: QianfanJob) -> bool:
        """See Kind: the spec goes on with another attempt, or names the run."""
        pending = resource.status.pending
        return pending is not None and (resource.spec.attempt != pending.attempt or adopting.adopts(resource))

    def look(self, ctx: ReconcileContext, account: Account, resource: QianfanJob, pending: Pending) -> Found:
        """See Kind."""
        return outcomes.look(ctx, account, resource, pending)

    def stop(self, ctx: ReconcileContext, account: Account, resource: QianfanJob, *, selected: bool) -> Updates:
        """Stop the selected run, or that of the others which has worked for longest."""
        record = resource.status if selected else next(iter(attempts.others(resource)), None)
        if record is None:
            return {}
        marked = attempts.marked(resource, record, selected=selected)
        if not marked:
            runs.stop_once(ctx.ask_once, account, record, record.train_status)
        return marked

    def has_left(self, resource: QianfanJob) -> bool:
        """See Kind: every run that was ever made has ended."""
        return attempts.are_over(resource.status)

    def adopted(self, resource: QianfanJob) -> bool:
        """See Kind: no run that was created here is at work, or may have been made."""
        return attempts.are_adopted(resource.status)

    def release(self, ctx: ReconcileContext, account: Account, resource: QianfanJob) -> Released:
        """Stop every recorded run of ours that works, and see it stopped; what a wipe forgot is searched.

        See docs/design/api.md#deleting.
        """
        status = resource.status
        if status.highest_attempt is None:
            mark = Mark.of(ctx.cluster, resource.metadata, resource.kind, resource.spec.attempt, "")
            found = tasks.find_all(ctx, account, mark)
            if isinstance(found, Wait):
                summary = adopting.advise(resource, found).summary
                return Released(False, Cause(summary.reason, summary.message), summary.stalled)
            if working := attempts.unrecorded(status, found):  # recorded first: only what is still its own is stopped
                updates = {"highest_attempt": 0, "runs": working, "account": account.name}
                why = Cause(Reason.DELETING, "Recording runs that were found by their marks.")
                return Released(False, why, updates=updates)
        found_again, unknown = outcomes.found_again(ctx, account, status.runs)
        updates = {"runs": found_again}
        if self.holds(status.model_copy(update=updates)) - self.holds(status):
            return Released(False, Cause(Reason.DELETING, "Recording runs that were found."), updates=updates)
        recorded: list[JobStatus | RunRecord] = [status, *found_again]
        at_work = [record for record in recorded if runs.may_work(record) and attempts.is_ours(resource, record)]
        if still := attempts.stopping(ctx.ask_once, account, at_work):
            return Released(False, still, stalled=still.reason is Reason.DELETION_BLOCKED)
        if unknown:
            return Released(False, adopting.advised(resource, unknown), unknown.reason is not Reason.CONFIRMING)
        return Released(True)

    def abandon(self, account: Account, resource: QianfanJob, updates: Updates) -> None:
        """Stop a run whose object went while it was being made."""
        attempts.stopping(runs.always, account, [resource.status.model_copy(update=dict(updates))])
