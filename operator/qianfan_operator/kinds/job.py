"""QianfanJob: createTask, createJob, jobDetail, stopJob (design 2.2, 5)."""

from typing import Any

from qianfan_operator.api.common import Pending
from qianfan_operator.api.job import JobStatus, QianfanJob, RunRecord
from qianfan_operator.api.training import create_job_body, inputs_hash, missing_fields, same_inputs, training_inputs
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.conditions import SUCCEEDED
from qianfan_operator.credentials import Account
from qianfan_operator.decide import Phase, Want, Why
from qianfan_operator.external import (
    Found,
    Hold,
    Kind,
    Observation,
    Pay,
    Plan,
    Record,
    Released,
    Step,
    Updates,
    World,
    cloud_now,
)
from qianfan_operator.keys import Key
from qianfan_operator.kinds import attempts, outcomes, runs, tasks
from qianfan_operator.kinds.references import base_of
from qianfan_operator.names import Mark
from qianfan_operator.reasons import Reason


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

    def plan(self, world: World, resource: QianfanJob) -> Plan:
        """Select the attempt: the current one, a recorded one, a new one, or none that may be (design 2.2)."""
        spec, status = resource.spec, resource.status
        if spec.attempt == status.attempt:
            return self._current(world, resource)
        if recorded := attempts.recorded(status, spec.attempt):
            if recorded.inputs_hash and not same_inputs(recorded.inputs_hash, spec):
                return attempts.mismatch(f"Attempt {spec.attempt} was trained with other inputs")
            return Plan(Want.CREATE, Why(Reason.TRAINING, "Making a recorded attempt current again."))
        if spec.attempt <= (status.highest_attempt or 0) and spec.adopt is None:
            return attempts.mismatch(f"Attempt {spec.attempt} is not recorded and lies below status.highestAttempt")
        return self._new(world, resource)

    def _current(self, world: World, job: QianfanJob) -> Plan:
        status, adopt = job.status, job.spec.adopt
        if adopt and adopt.attempt == status.attempt and not attempts.names(status, adopt.task_id, adopt.job_id):
            if runs.phase_of(status) is not Phase.ABSENT:
                why = (
                    f"spec.adopt names run {adopt.job_id}, but this attempt is run {status.job_id or status.job_uuid}."
                )
                return Plan(Want.BLOCKED, Why(Reason.ALREADY_BOUND, why))
            return self._new(world, job)
        if status.inputs_hash and not same_inputs(status.inputs_hash, job.spec):
            return attempts.mismatch(f"Attempt {status.attempt} was trained with other inputs")
        return Plan(Want.NOTHING) if runs.phase_of(status) is not Phase.ABSENT else self._new(world, job)

    def _new(self, world: World, job: QianfanJob) -> Plan:
        spec = job.spec
        if spec.adopt and spec.adopt.attempt == spec.attempt:
            return Plan(Want.CREATE, Why(Reason.CREATING, f"Taking over run {spec.adopt.job_id}."))
        if missing := missing_fields(spec):
            return Plan(
                Want.BLOCKED,
                Why(Reason.INVALID_SPEC, f"spec.{missing[0]} must be set to train attempt {spec.attempt}."),
            )
        why = Why(Reason.CREATING, f"Creating the task and the run of attempt {spec.attempt}.")
        return base_of(world, job, why)

    def recall(self, resource: QianfanJob) -> Observation:
        """See Kind."""
        status = resource.status
        selected = status.attempt == resource.spec.attempt
        phase = runs.phase_of(status) if selected else Phase.ABSENT
        return Observation(
            phase, attempts.why(phase, resource, status.train_status), others_working=bool(attempts.others(resource))
        )

    def observe(self, world: World, account: Account, resource: QianfanJob) -> Observation:
        """Look at every recorded run that may still work, the selected one and the others."""
        status, spec = resource.status, resource.spec
        updates: dict[str, Any] = {}
        selected, phase, deadline, looked = spec.attempt == status.attempt, Phase.ABSENT, False, False
        run, word = None, status.train_status
        if runs.phase_of(status) in runs.ENDED | {Phase.ABSENT}:
            current = runs.phase_of(status)
        else:
            run, current = attempts.look_at(account, status)
            looked = selected or run is not None
        if run:
            updates, word = dict(runs.facts(run, status)), run.status
        if selected:
            phase = current
            ran = runs.running_seconds(run, cloud_now(account)) if run else status.run_time_seconds or 0
            deadline = spec.active_deadline_seconds is not None and ran >= spec.active_deadline_seconds
        same_keys = status.account == account.name  # others may not see what is there (design 5.10)
        unseen = current is Phase.GONE and not same_keys
        others = not selected and (unseen or current in {Phase.WORKING, Phase.UNKNOWN})
        if status.runs:
            earlier = [attempts.seen_again(world, account, record, believe_gone=same_keys) for record in status.runs]
            updates["runs"] = tuple(record for record, _ in earlier)
            others = others or any(
                attempts.may_work(record) and record.attempt != spec.attempt for record, _ in earlier
            )
            looked = looked or any(shown for _, shown in earlier)
        why, warning = attempts.why(phase, resource, word), attempts.unseen(run, status)
        return Observation(phase, why, updates, others, deadline, looked, warning)

    def create(self, world: World, account: Account, resource: QianfanJob, plan: Plan) -> Step:
        """See Kind: select a recorded attempt, adopt a run, find an earlier life's, or claim a task and pay."""
        spec, status, attempt = resource.spec, resource.status, resource.spec.attempt
        if attempt != status.attempt and (recorded := attempts.recorded(status, attempt)):
            return Record(attempts.select(status, recorded))
        if spec.adopt and spec.adopt.attempt == attempt:
            return attempts.adopt(account, resource)
        mark = Mark.of(world.cluster, resource.metadata, resource.kind, attempt, inputs_hash(spec))
        if status.highest_attempt is None:
            return self._survey(world, account, resource, mark)
        begin: dict[str, Any] = {
            "attempt": attempt,
            "highest_attempt": max(attempt, status.highest_attempt or 0),
            "inputs_hash": inputs_hash(spec),
            "inputs": training_inputs(spec),
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
            result = tasks.claim(world, account, resource, mark)
            if isinstance(result, Hold):
                return result
            if isinstance(result, tasks.Found):
                found = {"task_name": result.task_name, "task_uuid": result.task_uuid, "job_uuid": result.run.job_uuid}
                return Record({**begin, **found, "train_status": result.run.status})
            claimed = result
            begin |= {"task_name": claimed.name, "task_id": claimed.task_id, "task_uuid": claimed.task_uuid}
        body = create_job_body(spec, claimed.task_id, plan.inputs.get("increment"))
        inputs = {"taskId": claimed.task_id, "taskUuid": claimed.task_uuid, "taskName": claimed.name}
        return Pay("createJob", inputs, lambda client: client.prepare_create_job(body), begin, attempt)

    def _survey(self, world: World, account: Account, job: QianfanJob, mark: Mark) -> Step:
        result = tasks.survey(world, account, mark)
        if isinstance(result, Hold):
            return result
        found = attempts.surveyed(job, mark, result)
        highest = max([0, *(record.attempt for record in found)])
        return Record({"highest_attempt": highest, "runs": found, "account": account.name})

    def begin(self, resource: QianfanJob) -> Updates:
        """Mark the status of a plain new object as complete: the name lock is enough for it, no survey is needed."""
        status = resource.status
        new = resource.spec.attempt == 1 and status.highest_attempt is None and status.account is None
        return {"highest_attempt": 0} if new else {}

    def refused(self, error: CloudError) -> Updates:
        """Let what is trained be mended without another attempt: nothing was paid for. A task that is gone is left."""
        gone = dict.fromkeys(("task_id", "task_uuid", "task_name")) if error.fate is Fate.GONE else {}
        return {"inputs_hash": None, **gone}

    def landed(self, resource: QianfanJob, pending: Pending, reply: Any) -> Updates:
        """See Kind."""
        ids = {"job_id": reply.job_id, "job_uuid": reply.job_uuid, "train_status": "RUNNING"}
        status = resource.status
        if status.attempt == pending.attempt or pending.attempt is None:
            return ids
        inputs = pending.inputs
        known = attempts.recorded(status, pending.attempt) or RunRecord(
            attempt=pending.attempt, task_name=inputs.get("taskName"), task_id=inputs.get("taskId"),
            task_uuid=inputs.get("taskUuid"),
        )  # fmt: skip
        others = tuple(run for run in status.runs if run.attempt != pending.attempt)
        return {"runs": (known.model_copy(update={**ids, "pending": None}), *others)}

    def bound(self, resource: QianfanJob, pending: Pending) -> tuple[object, ...] | None:
        """See Kind."""
        status = resource.status
        record: JobStatus | RunRecord | None = status
        if status.attempt != pending.attempt:
            record = attempts.recorded(status, pending.attempt or 0)
        if record is None or runs.phase_of(record) is Phase.ABSENT:
            return None
        return record.job_id, record.job_uuid

    def ids_of(self, updates: Updates) -> tuple[object, ...]:
        """See Kind."""
        return updates.get("job_id"), updates.get("job_uuid")

    def look(self, world: World, account: Account, resource: QianfanJob, pending: Pending) -> Found:
        """See Kind."""
        return outcomes.look(world, account, resource, pending)

    def stop(self, account: Account, resource: QianfanJob, *, selected: bool) -> None:
        """Stop the selected run, or the first of the others that may work."""
        record = resource.status if selected else next(iter(attempts.others(resource)), None)
        if record:
            runs.stop(account, record)

    def release(self, world: World, account: Account, resource: QianfanJob) -> Released:
        """Stop every recorded run that works, and see it stopped; what a wiped status forgot is searched (design 6)."""
        status = resource.status
        if status.highest_attempt is None:
            mark = Mark.of(world.cluster, resource.metadata, resource.kind, resource.spec.attempt, "")
            found = tasks.survey(world, account, mark)
            if isinstance(found, Hold):
                verdict = found.verdict
                return Released(False, Why(verdict.reason, verdict.message), verdict.stalled)
            working = [run.job_uuid for _, _, run in found if attempts.works(run)]
            for job_uuid in working:
                account.client.stop_fine_tuning_task(job_uuid)
            if working:
                return Released(False, Why(Reason.DELETING, "Stopping runs that were found by their marks."))
        recorded: list[JobStatus | RunRecord] = [status]
        for record in status.runs:
            known, unknown = attempts.look_again(world, account, record)
            if unknown:
                return Released(False, unknown, stalled=unknown.reason is not Reason.CONFIRMING)
            recorded.append(known)
        still = [record for record in recorded if attempts.may_work(record) and attempts.stopping(account, record)]
        names = ", ".join(str(record.job_id or record.job_uuid) for record in still)
        return Released(not still, Why(Reason.DELETING, f"Stopping run {names}."))

    def abandon(self, account: Account, resource: QianfanJob, updates: Updates) -> None:
        """Stop a run whose object went while it was being made."""
        attempts.stopping(account, resource.status.model_copy(update=dict(updates)))
