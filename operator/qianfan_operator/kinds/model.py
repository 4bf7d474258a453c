"""QianfanModel: publishTrainModel, modelDetail, modelVersionDetail (design 2.3)."""

from collections.abc import Iterable, Mapping
from typing import Any

from qianfan_operator.api.common import Pending
from qianfan_operator.api.model import ModelStatus, QianfanModel
from qianfan_operator.cloud import views
from qianfan_operator.credentials import Account
from qianfan_operator.decide import Phase, Want, Why
from qianfan_operator.external import (
    CannotTell,
    Found,
    Kind,
    NotThere,
    Observation,
    Pay,
    Plan,
    Record,
    Released,
    Seen,
    Step,
    Updates,
    World,
    stalled,
)
from qianfan_operator.keys import Key
from qianfan_operator.kinds import versions
from qianfan_operator.kinds.references import refers_back, run_of
from qianfan_operator.names import Mark, source_hash
from qianfan_operator.reasons import Reason


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

    def plan(self, world: World, resource: QianfanModel) -> Plan:
        """Publish what is not published: the first version, or the next one when the source is another (design 2.3)."""
        spec, status = resource.spec, resource.status
        if not versions.published(status):
            if spec.adopt:
                return Plan(Want.CREATE, Why(Reason.CREATING, "Taking over the model version."))
            return self._publish(world, resource)
        if spec.adopt and not versions.is_named(status, spec.adopt):
            message = f"spec.adopt names another version than {status.model_version_id}, which this object holds."
            return Plan(Want.BLOCKED, Why(Reason.ALREADY_BOUND, message))
        if spec.adopt or spec.source is None:
            return Plan(Want.NOTHING)
        again = versions.has_failed(status) and resource.reconcile_requested
        changed = status.inputs_hash != source_hash(resource.spec.source) or again
        follows = (
            spec.update_policy == "Follow" and spec.source.job_ref is not None and spec.source.job_ref.attempt is None
        )
        if not (changed or follows):
            return Plan(Want.NOTHING)
        plan = self._publish(world, resource)
        if plan.want is not Want.CREATE:
            return plan if changed else Plan(Want.NOTHING)
        return Plan(Want.NOTHING) if versions.same_run(status.source, plan.inputs) and not again else plan

    def _publish(self, world: World, model: QianfanModel) -> Plan:
        spec, status = model.spec, model.status
        if spec.source is None or spec.target is None:
            return Plan(Want.BLOCKED, Why(Reason.INVALID_SPEC, "spec.source and spec.target must be set to publish."))
        target: dict[str, Any]
        if status.model_id is not None or status.model_id_str is not None:
            target = {"modelId": status.model_id if status.model_id is not None else status.model_id_str}
        elif spec.target.model_ref:
            name = spec.target.model_ref.name
            other = world.fetch(Key(self.plural, model.metadata.namespace, name))
            if isinstance(other, QianfanModel) and other.metadata.deletion_timestamp:
                return Plan(Want.WAIT, Why(Reason.DEPENDENCY_NOT_READY, f"QianfanModel {name} is being deleted."))
            if not isinstance(other, QianfanModel) or other.status.model_id is None:
                if refers_back(world, model, _target_name):
                    message = "spec.target.modelRef leads back to the object itself."
                    return Plan(Want.BLOCKED, Why(Reason.DEPENDENCY_FAILED, message))
                message = f"QianfanModel {name} has no model in the cloud yet."
                return Plan(Want.WAIT, Why(Reason.DEPENDENCY_NOT_READY, message))
            target = {"modelId": other.status.model_id}
        elif spec.target.model_id is not None:
            target = {"modelId": spec.target.model_id}
        else:
            target = {"modelName": spec.target.model_name}
        plan = run_of(world, model, spec.source, Why(Reason.PUBLISHING, "Publishing the run."))
        return Plan(plan.want, plan.why, {**plan.inputs.get("run", {}), **target}) if plan.want is Want.CREATE else plan

    def recall(self, resource: QianfanModel) -> Observation:
        """See Kind."""
        status = resource.status
        phase = versions.STATES.get(status.state or "", Phase.UNKNOWN) if versions.published(status) else Phase.ABSENT
        return Observation(phase, versions.why(phase, status, status.state))

    def observe(self, world: World, account: Account, resource: QianfanModel) -> Observation:
        """Look at the version; once it is ready, at its model with all versions."""
        status = resource.status
        if not versions.published(status):
            return self.recall(resource)
        detail = versions.look(account, status)
        if detail is None:
            return Observation(Phase.GONE, versions.why(Phase.GONE, status, None), looked=True)
        updates = dict(versions.version_facts(detail, status))
        phase = versions.STATES.get(detail.state, Phase.UNKNOWN)
        model = status.model_id if status.model_id is not None else updates["model_id"] or updates["model_id_str"]
        if phase is Phase.READY and model is not None:
            updates |= versions.model_facts(account.client.model_detail(model))
        return Observation(phase, versions.why(phase, status, detail.state), updates, looked=True)

    def create(self, world: World, account: Account, resource: QianfanModel, plan: Plan) -> Step:
        """See Kind."""
        spec = resource.spec
        if spec.adopt and not versions.published(resource.status):
            return versions.adopt(account, resource)
        inputs = dict(plan.inputs)
        if versions.has_failed(resource.status) and versions.same_run(resource.status.source, inputs):
            return versions.make_way(account, resource.status)
        run = (inputs["taskId"], inputs["jobId"])
        if None in run:
            run = (inputs["taskUuid"], inputs["jobUuid"])
        if None in run:
            message = "The run must be given by two integers or by two strings."
            return stalled(Reason.INVALID_SPEC, message)
        mark = Mark.of(world.cluster, resource.metadata, resource.kind, 1, f"{run[0]}/{run[1]}")
        body: dict[str, Any] = {
            "isNewModel": "modelName" in inputs,
            "versionMeta": {"taskId": run[0], "iterationId": run[1], "description": mark.describe(spec.description)},
            **{name: inputs[name] for name in ("modelName", "modelId") if name in inputs},
        }
        if spec.tags:
            body["tags"] = list(spec.tags)
        inputs["inputsHash"] = source_hash(resource.spec.source)
        there = self._there(world, account, resource, inputs) if "modelName" in inputs else None
        if isinstance(there, Seen):
            return Record({**there.updates, "account": account.name})
        if isinstance(there, CannotTell):
            return stalled(there.why.reason, there.why.message)
        return Pay("publishTrainModel", inputs, lambda client: client.prepare_publish(body), {"account": account.name})

    def landed(self, resource: QianfanModel, pending: Pending, reply: views.Published) -> Updates:
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

    def bound(self, resource: QianfanModel, pending: Pending) -> tuple[object, ...] | None:
        """See Kind."""
        status = resource.status
        if not versions.published(status) or not versions.same_run(status.source, pending.inputs):
            return None
        return status.model_version_id, status.model_version_id_str

    def ids_of(self, updates: Updates) -> tuple[object, ...]:
        """See Kind."""
        return updates.get("model_version_id"), updates.get("model_version_id_str")

    def look(self, world: World, account: Account, resource: QianfanModel, pending: Pending) -> Found:
        """Find the version of our run in the target model, or the model by its name, by two complete scans."""
        for _ in range(2):
            if there := self._there(world, account, resource, pending.inputs):
                return there
        return NotThere()

    def _there(
        self, world: World, account: Account, resource: QianfanModel, inputs: Mapping[str, Any]
    ) -> Seen | CannotTell | None:
        """Look once for what is to be published: the version of the run in its model, else a model of that name."""
        name = inputs.get("modelName")
        mark = Mark.of(world.cluster, resource.metadata, resource.kind, 1, "")
        target = inputs.get("modelId") if name is None else versions.model_named(account, name)
        if target is None:
            return None
        model = account.client.model_detail(target)
        for version in model.versions:
            if versions.is_run(version, inputs):
                facts = {**versions.version_facts(version, ModelStatus()), "model_name": model.model_name or name}
                if mark.same_object(Mark.read(version.description)):
                    facts["published"] = versions.with_own(resource.status, version.version_id)
                return Seen({**facts, **versions.source(inputs)})
        if name is None:
            return None
        if any(mark.same_object(Mark.read(version.description)) for version in model.versions):
            return Seen({"model_id": model.model_id, "model_id_str": model.model_id_str, "model_name": name})
        message = f"A model named {name} exists and is not ours; choose another modelName, or set modelId."
        return CannotTell(Why(Reason.NAME_TAKEN, message), nothing_made=True)

    def release(self, world: World, account: Account, resource: QianfanModel) -> Released:
        """Delete the versions that this object published, and its model when it is left empty (design 6)."""
        status = resource.status
        users = world.users_of(Key(self.plural, resource.metadata.namespace, resource.metadata.name))
        services = [key for key in users if key.plural == "qianfanservices"]
        if services:
            return _in_use(services)
        if not world.listed:
            message = "Waiting until all objects have been listed since the start: a service may use its version."
            return Released(False, Why(Reason.DELETING, message))
        wiped = status.account is None
        if wiped and world.grace_left("release"):
            return Released(False, Why(Reason.CONFIRMING, Reason.CONFIRMING.sentence))
        mark = Mark.of(world.cluster, resource.metadata, resource.kind, 1, "")
        mine = status.published or ((status.model_version_id,) if status.adopted else ())
        target = resource.spec.target
        known = status.model_id if status.model_id is not None else status.model_id_str
        where = versions.target_of(account, target) if wiped else known
        model = versions.model_of(account, where) if where is not None else None
        if where is None or model is None:
            return Released(True)
        left = [
            version
            for version in model.versions
            if version.version_id in mine or (wiped and mark.same_object(Mark.read(version.description)))
        ]
        ids = [number for one in left for number in (one.version_id, one.version_id_str)]
        if using := world.needing(("version", number) for number in ids if number is not None):
            return _in_use(using)
        if left:
            account.client.delete_model_versions([one.version_id for one in left if one.version_id is not None])
            return Released(False, Why(Reason.DELETING, "Deleting the versions that this object published."))
        created = target is not None and target.model_name is not None and not status.adopted and bool(mine)
        targets = [*users, *world.needing([("model", model.model_id), ("model", model.model_id_str)])]
        if created and not model.versions and not any(key.plural == self.plural for key in targets):
            account.client.delete_models([where])
        return Released(True)


def _in_use(services: Iterable[Key]) -> Released:
    names = ", ".join(sorted(key.name for key in services))
    return Released(False, Why(Reason.IN_USE, f"Its version is in use by QianfanService {names}."))


def _target_name(model: QianfanModel) -> str | None:
    target = model.spec.target
    return target.model_ref.name if target and target.model_ref else None
