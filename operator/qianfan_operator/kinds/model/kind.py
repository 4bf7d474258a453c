"""The kind QianfanModel: publishTrainModel, modelDetail, modelVersionDetail."""

from collections.abc import Container, Hashable, Mapping
from dataclasses import replace
from typing import Any

from qianfan_operator.api.common import Pending
from qianfan_operator.api.conditions import ConditionSummary, Synced
from qianfan_operator.api.keys import ExternalId, Key
from qianfan_operator.api.model import ModelStatus, QianfanModel
from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud import views
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.kinds import adoption, edits, remembered
from qianfan_operator.kinds.interface import (
    Absent,
    Adopt,
    Cause,
    Create,
    Found,
    Kind,
    Observation,
    Phase,
    Plan,
    Present,
    ReconcileContext,
    Released,
    Step,
    Unknown,
    Updates,
    UpdateStatus,
    Wait,
    Want,
    stalled,
)
from qianfan_operator.kinds.job import attempts
from qianfan_operator.kinds.marks import Mark, source_hash
from qianfan_operator.kinds.model import release, targets, versions
from qianfan_operator.kinds.references import missing, record_named, run_of
from qianfan_operator.kinds.texts import already_bound


class ModelKind(Kind[QianfanModel]):
    """Publishing."""

    resource = QianfanModel

    def references(self, resource: QianfanModel) -> tuple[Key, ...]:
        """See Kind."""
        source, target, namespace = resource.spec.source, resource.spec.target, resource.metadata.namespace
        found = []
        if source and source.job_ref:
            found.append(Key("qianfanjobs", namespace, source.job_ref.name))
        if target and target.model_ref:
            found.append(Key(self.plural, namespace, target.model_ref.name))
        return tuple(found)

    def holds(self, status: ModelStatus) -> frozenset[ExternalId]:
        """See Kind: also earlier versions, which go with the object that published them."""
        current = () if status.preset else (status.model_version_id, status.model_version_id_str)
        ids = (*current, *(status.published or ()))
        return frozenset(ExternalId(("version", number)) for number in ids if number is not None)

    def complete(self, status: ModelStatus) -> bool:
        """See Kind: a preset version is held by nobody."""
        return bool(status.preset) or bool(self.holds(status))

    def intends(self, status: ModelStatus) -> frozenset[Hashable]:
        """See Kind: a version of the run in the model."""
        inputs = status.pending.inputs if status.pending else {}
        models = (inputs.get("modelId"), inputs.get("modelName"))
        return versions.place((inputs.get("jobId"), inputs.get("jobUuid")), models)

    def places(self, status: ModelStatus, things: Container[ExternalId]) -> frozenset[Hashable]:
        """See Kind: the run that the current version was made of, in its model."""
        source = status.source
        models = (status.model_id, status.model_id_str, status.model_name)
        return versions.place((source.job_id, source.job_uuid), models) if source else frozenset()

    def reads(self, account: Account, status: ModelStatus, thing: ExternalId) -> bool:
        """See Kind."""
        return versions.is_read(account, status, thing.what[1])

    def mark_of(self, account: Account, status: ModelStatus, thing: ExternalId) -> Mark | None:
        """See Kind."""
        number = thing.what[1]
        version = account.client.model_version_detail(number if isinstance(number, int | str) else 0)
        return Mark.read(version.description)

    def disown(self, status: ModelStatus, lost: Container[ExternalId]) -> Updates:
        """See Kind."""
        current = (status.model_version_id, status.model_version_id_str)
        kept = tuple(number for number in status.published if ExternalId(("version", number)) not in lost)
        if not any(ExternalId(("version", number)) in lost for number in current):
            return {"published": kept}
        return {"published": kept, **dict.fromkeys(("model_version_id", "model_version_id_str", "state", "adopted"))}

    def without(self, resource: QianfanModel, updates: Updates, lost: Container[ExternalId]) -> Updates:
        """See Kind: of several versions that a deletion found, those that nobody has taken over."""
        if not resource.metadata.deletion_timestamp or "published" not in updates:
            return updates
        kept = (number for number in updates["published"] if ExternalId(("version", number)) not in lost)
        return {**updates, "published": tuple(kept)}

    def signal(self, resource: QianfanModel) -> Hashable:
        """See Kind: the version, by either id."""
        status = resource.status
        return status.model_id, status.model_id_str, status.model_version_id, status.model_version_id_str

    def ended(self, status: ModelStatus) -> Hashable:
        """See Kind: the current version, and those that the object published."""
        return remembered.values_of(status, versions.IDS) if versions.published(status) else None

    def restored(self, resource: QianfanModel, ended: Hashable) -> Updates:
        """See Kind."""
        return remembered.changed(resource.status, versions.IDS, ended)

    def plan(self, ctx: ReconcileContext, resource: QianfanModel) -> Plan:
        """See Kind. A job that is gone matters only to who goes on following it: a version needs no job."""
        plan, spec = self._plan(ctx, resource), resource.spec
        job = spec.source.job_ref if spec.source else None
        if plan.want is not Want.NOTHING or job is None or spec.update_policy != "Follow":
            return plan
        goes_on = "The published version stays."
        return replace(plan, missing=missing(ctx, resource, "qianfanjobs", job.name, goes_on))

    def _plan(self, ctx: ReconcileContext, resource: QianfanModel) -> Plan:
        """Publish what is not published: the first version, or the next one when the source is another.

        See docs/design/api.md#qianfanmodel.
        """
        spec, status = resource.spec, resource.status
        if not versions.published(status):
            if spec.adopt:
                return Plan(Want.ADOPT, Cause(Reason.CREATING, "Taking over the model version."))
            return self._publish(ctx, resource)
        if spec.adopt and not versions.is_named(status, spec.adopt):
            held = f"version {status.model_version_id or status.model_version_id_str}"
            return Plan(Want.BLOCKED, already_bound(held, "another one"))
        if spec.adopt or spec.source is None:
            return Plan(Want.NOTHING)
        wanted, again = source_hash(spec.source), versions.asked_again(resource)
        changed = again or status.inputs_hash != wanted
        job = spec.source.job_ref
        follows = spec.update_policy == "Follow" and job is not None and job.attempt is None
        if not (changed or follows):
            return Plan(Want.NOTHING)
        plan = self._publish(ctx, resource)
        if plan.want is not Want.CREATE:
            return plan if changed else Plan(Want.NOTHING)
        if versions.same_run(status.source, plan.inputs) and not again:
            return Plan(Want.NOTHING, updates={"inputs_hash": wanted})
        return plan

    def _publish(self, ctx: ReconcileContext, model: QianfanModel) -> Plan:
        source, target = model.spec.source, targets.resolve(ctx, model)
        if source is None or target.want is not Want.CREATE:
            return target
        if kept := versions.kept_run(model):
            return Plan(Want.CREATE, target.why, {**kept, **target.inputs})
        plan = run_of(ctx, model, source, target.why)
        if plan.want is not Want.CREATE:
            return plan
        run = plan.inputs["run"]
        why = Cause(Reason.PUBLISHING, f"Publishing run {run['jobId'] or run['jobUuid']}.")
        return Plan(Want.CREATE, why, {**run, **target.inputs})

    def observe_recorded(self, resource: QianfanModel) -> Observation:
        """See Kind."""
        status = resource.status
        phase = versions.STATES.get(status.state or "", Phase.UNKNOWN) if versions.published(status) else Phase.ABSENT
        return Observation(phase, versions.why(phase, status, status.state))

    def observe(self, ctx: ReconcileContext, account: Account, resource: QianfanModel) -> Observation:
        """Look at the version; once it is ready, at its model with all versions."""
        status = resource.status
        if not versions.published(status):
            return self.observe_recorded(resource)
        detail = versions.look(account, resource)
        if detail is None:
            return Observation(Phase.GONE, versions.why(Phase.GONE, status, None), looked=True)
        if versions.is_foreign(detail, resource):
            return Observation(Phase.GONE, versions.foreign(status), looked=True)
        updates = dict(versions.version_facts(detail, status))
        phase = versions.STATES.get(detail.state, Phase.UNKNOWN)
        model = status.model_id or updates["model_id"] or updates["model_id_str"]
        if phase is Phase.READY and model is not None:
            updates |= versions.model_facts(account.client.model_detail(model))
        seen = status.model_copy(update=updates)
        common = bool(updates["preset"])
        return Observation(phase, versions.why(phase, seen, detail.state), updates, looked=True, common=common)

    def create(self, ctx: ReconcileContext, account: Account, resource: QianfanModel, plan: Plan) -> Step:
        """See Kind."""
        spec = resource.spec
        if spec.adopt and not versions.published(resource.status):
            return versions.adopt(ctx, account, resource)
        inputs = dict(plan.inputs)
        if versions.published(resource.status) and versions.same_run(resource.status.source, inputs):
            return versions.make_way(account, resource.status)
        run = (inputs["taskId"], inputs["jobId"])
        if None in run:
            run = (inputs["taskUuid"], inputs["jobUuid"])
        if None in run:
            return stalled(Reason.INVALID_SPEC, "spec.source.run must name the run by two integers or by two strings.")
        if hold := _forbidden(ctx, account, resource, inputs):
            return hold
        mark = Mark.of(ctx.cluster, resource.metadata, resource.kind, 1, f"{run[0]}/{run[1]}")
        body: dict[str, Any] = {
            "isNewModel": "modelName" in inputs,
            "versionMeta": {"taskId": run[0], "iterationId": run[1], "description": mark.describe(spec.description)},
            **{name: inputs[name] for name in ("modelName", "modelId") if name in inputs},
        }
        if spec.tags:
            body["tags"] = list(spec.tags)
        inputs["inputsHash"] = source_hash(resource.spec.source)
        there = self._there(ctx, account, resource, inputs) if "modelName" in inputs else None
        if isinstance(there, Present):
            return UpdateStatus({**there.updates, "account": account.name}, marked=there.marked)
        if isinstance(there, Unknown):
            return stalled(there.why.reason, there.why.message)
        # Beside an earlier version, that one's source is shown until there is a next.
        run_taken = {} if versions.published(resource.status) else versions.source(inputs)
        sent = {"sent_description": spec.description or "", "sent_tags": spec.tags or ()}
        updates = {"account": account.name, **sent, **run_taken}
        return Create("publishTrainModel", inputs, lambda client: client.prepare_publish(body), updates)

    def refused(self, error: CloudError) -> Updates:
        """See Kind: what an earlier version was published with is not known any more."""
        return {"sent_description": None, "sent_tags": None}

    def unapplied(self, resource: QianfanModel) -> str:
        """See Kind."""
        spec, status = resource.spec, resource.status
        if not versions.published(status):
            return ""
        sent = {"description": (status.sent_description, spec.description), "tags": (status.sent_tags, spec.tags)}
        way = "Undo the change, or leave it: the next version that this object publishes uses it."
        return edits.unapplied(sent, "the description and tags of a published version", way)

    def status_after_create(self, resource: QianfanModel, pending: Pending, reply: views.Published) -> Updates:
        """See Kind."""
        return {
            "published": versions.with_own(resource.status, reply.version_id),
            **versions.source(pending.inputs),
            "model_id": reply.model_id,
            "model_id_str": reply.model_id_str,
            "model_version_id": reply.version_id,
            "model_version_id_str": reply.version_id_str,
            "version": reply.version,
            "state": "Creating",
        }

    def recorded_ids(self, resource: QianfanModel, pending: Pending) -> tuple[object, ...] | None:
        """See Kind."""
        status = resource.status
        if not versions.published(status) or not versions.same_run(status.source, pending.inputs):
            return None
        return status.model_version_id, status.model_version_id_str

    def ids_of(self, updates: Updates) -> tuple[object, ...]:
        """See Kind."""
        return updates.get("model_version_id"), updates.get("model_version_id_str")

    def look(self, ctx: ReconcileContext, account: Account, resource: QianfanModel, pending: Pending) -> Found:
        """Find the version of our run in the target model, or the model by its name, by two complete scans."""
        for _ in range(2):
            if there := self._there(ctx, account, resource, pending.inputs):
                return there
        return Absent()

    def _there(
        self, ctx: ReconcileContext, account: Account, resource: QianfanModel, inputs: Mapping[str, Any]
    ) -> Present | Unknown | None:
        """Look once for what is to be published: the version of the run in its model, else a model of that name."""
        name = inputs.get("modelName")
        mark = Mark.of(ctx.cluster, resource.metadata, resource.kind, 1, "")
        target = inputs.get("modelId") if name is None else versions.model_named(account, name)
        if target is None:
            return None
        model = account.client.model_detail(target)
        for version in model.versions:
            if versions.is_run(version, inputs):
                facts = {**versions.version_facts(version, ModelStatus()), "model_name": model.model_name or name}
                if marked := mark.same_object(Mark.read(version.description)):
                    facts["published"] = versions.with_own(resource.status, version.version_id)
                return Present({**facts, **versions.source(inputs)}, marked)
        if name is None:
            return None
        if any(mark.same_object(Mark.read(version.description)) for version in model.versions):
            return Present({"model_id": model.model_id, "model_id_str": model.model_id_str, "model_name": name})
        message = f"A model named {name} already exists and was not created by this object."
        ways = "Choose another spec.target.modelName."
        if ctx.adopt is Adopt.ANY:  # else it may be another namespace's, of which nobody here is told
            ways = f"{ways[:-1]}, or set spec.target.modelId: {model.model_id} to publish into it."
        return Unknown(Cause(Reason.NAME_TAKEN, f"{message} {ways}"), nothing_made=True)

    def has_left(self, resource: QianfanModel) -> bool:
        """See Kind: no version is recorded that deleting would delete."""
        status = resource.status
        return status.account is not None and not status.published and (not status.adopted or bool(status.preset))

    def release(self, ctx: ReconcileContext, account: Account, resource: QianfanModel) -> Released:
        """See Kind."""
        return release.release(ctx, account, resource)


def _forbidden(ctx: ReconcileContext, account: Account, model: QianfanModel, inputs: Mapping[str, Any]) -> Wait | None:
    """Refuse what the spec names by its ids and this object may not use; wait for a run that has not finished."""
    source, target = model.spec.source, model.spec.target
    if source and source.run and (hold := _unfinished(ctx, account, model, inputs)):
        return hold
    number = target.model_id if target and versions.model_id_of(model.status) is None else None
    if number is None:
        return None
    return adoption.refused_model(
        ctx, model, "spec.target.modelId", number, lambda: account.client.model_detail(number)
    )


def _unfinished(ctx: ReconcileContext, account: Account, model: QianfanModel, inputs: Mapping[str, Any]) -> Wait | None:
    """Wait for a run that the spec names by its ids; one that can never be published needs another source."""
    field = "spec.source.run"
    if off := adoption.switched_off(ctx, field):
        return off
    try:
        run, phase = attempts.look_at(account, record_named(inputs))
    except CloudError as error:
        if not error.unsupported or ctx.adopt is not Adopt.ANY:
            raise
        return None  # then the cloud says it when it is published
    if run and (refused := adoption.refused_run(ctx, account, model, field, run)):
        return refused
    what = f"Run {inputs['jobId'] or inputs['jobUuid']} of spec.source"
    if phase is Phase.READY:
        return None
    if phase is Phase.GONE:
        return stalled(Reason.DEPENDENCY_FAILED, f"{what} is not in the cloud; correct its ids.")
    if phase in {Phase.FAILED, Phase.STOPPED}:
        return stalled(Reason.DEPENDENCY_FAILED, f"{what} did not succeed: it is {run.status if run else 'over'}.")
    reason, message = Reason.DEPENDENCY_NOT_READY, f"{what} has not finished."
    return Wait(ConditionSummary(False, reason, message, reconciling=True, synced=Synced("Unknown")))
