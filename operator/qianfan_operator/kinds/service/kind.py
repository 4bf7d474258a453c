"""The kind QianfanService: service apply and detail; V2 to describe, switch and deactivate."""

from collections.abc import Container, Hashable
from dataclasses import replace
from typing import Any

from qianfan_operator.api.common import FINALIZER, Pending
from qianfan_operator.api.conditions import AVAILABLE, ConditionSummary, Synced
from qianfan_operator.api.keys import ExternalId, Key
from qianfan_operator.api.model import QianfanModel
from qianfan_operator.api.reasons import Reason
from qianfan_operator.api.service import QianfanService, ServiceStatus
from qianfan_operator.cloud.account import Account
from qianfan_operator.cloud.deadlines import cloud_now, seconds_between
from qianfan_operator.cloud.errors import CloudError, Fate
from qianfan_operator.cloud.fields import as_told
from qianfan_operator.cloud.views import Applied
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
    Updates,
    UpdateStatus,
    Wait,
    Want,
    confirming,
    stalled,
)
from qianfan_operator.kinds.marks import Mark, source_hash
from qianfan_operator.kinds.model import versions
from qianfan_operator.kinds.references import missing, version_of
from qianfan_operator.kinds.service import endpoints, release, switch
from qianfan_operator.kinds.texts import already_bound, searched_for

_NO_VERSION = "The model version of spec.source is not in the cloud; correct its ids."
# docs/design/wire.md#apply
_POOL = {"Public": 1, "Private": 2}


class ServiceKind(Kind[QianfanService]):
    """Serving."""

    resource = QianfanService
    condition = AVAILABLE

    def references(self, resource: QianfanService) -> tuple[Key, ...]:
        """See Kind."""
        source = resource.spec.source
        if source is None or source.model_ref is None:
            return ()
        return (Key("qianfanmodels", resource.metadata.namespace, source.model_ref.name),)

    def serves(self, resource: QianfanService) -> bool:
        """See Kind; a service that only waits for the model uses nothing."""
        return endpoints.serves(resource)

    def holds(self, status: ServiceStatus) -> frozenset[ExternalId]:
        """See Kind."""
        return frozenset(
            ExternalId(("service", name)) for name in (status.service_id, status.service_uuid) if name is not None
        )

    def intends(self, status: ServiceStatus) -> frozenset[Hashable]:
        """See Kind: a service of the name."""
        name = status.pending.inputs.get("name") if status.pending else None
        return frozenset() if name is None else frozenset({as_told(str(name))})

    def places(self, status: ServiceStatus, things: Container[ExternalId]) -> frozenset[Hashable]:
        """See Kind: its name."""
        return frozenset() if status.service_name is None else frozenset({as_told(status.service_name)})

    def reads(self, account: Account, status: ServiceStatus, thing: ExternalId) -> bool:
        """See Kind."""
        return endpoints.is_read(account, status)

    def mark_of(self, account: Account, status: ServiceStatus, thing: ExternalId) -> Mark | None:
        """See Kind."""
        uuid = status.service_uuid
        return None if uuid is None else Mark.read(account.client.describe_service(uuid).description)

    def disown(self, status: ServiceStatus, lost: Container[ExternalId]) -> Updates:
        """See Kind: there is but one."""
        return dict.fromkeys(("service_id", "service_uuid", "service_status", "adopted", "switch"))

    def ended(self, status: ServiceStatus) -> Hashable:
        """See Kind: the service and its version, while no switch is under way."""
        settled = endpoints.recorded(status) and status.switch is None
        return remembered.values_of(status, endpoints.IDS) if settled else None

    def restored(self, resource: QianfanService, ended: Hashable) -> Updates:
        """See Kind."""
        return {} if resource.status.switch else remembered.changed(resource.status, endpoints.IDS, ended)

    def plan(self, ctx: ReconcileContext, resource: QianfanService) -> Plan:
        """See Kind. What serves goes on without the model object that it was applied for with."""
        plan, source = self._plan(ctx, resource), resource.spec.source
        if plan.want is not Want.NOTHING or source is None or source.model_ref is None:
            return plan
        goes_on = "The service goes on serving its version."
        return replace(plan, missing=missing(ctx, resource, "qianfanmodels", source.model_ref.name, goes_on))

    def _plan(self, ctx: ReconcileContext, resource: QianfanService) -> Plan:
        """Apply for what is not there; switch when the source is another version.

        See docs/design/api.md#switching-a-service.
        """
        spec, status = resource.spec, resource.status
        if not endpoints.recorded(status):
            return self._new(ctx, resource)
        if spec.adopt and spec.adopt.service_id not in {status.service_id, status.service_uuid}:
            held = status.service_id or status.service_uuid
            return Plan(Want.BLOCKED, already_bound(f"service {held}", f"service {spec.adopt.service_id}"))
        if spec.source is None:
            return Plan(Want.NOTHING)
        wanted, going_on = source_hash(spec.source), switch.going_on(resource)
        changed = status.inputs_hash != wanted
        follows = spec.update_policy == "Follow" and spec.source.model_ref is not None
        if not (changed or follows):
            return going_on
        plan = self._version(ctx, resource)
        if plan.want is not Want.CREATE:
            return plan if changed else going_on
        if switch.leads_to(status, plan.inputs):
            return replace(going_on, updates={"inputs_hash": wanted})
        return switch.plan(plan.inputs)

    def _new(self, ctx: ReconcileContext, service: QianfanService) -> Plan:
        spec = service.spec
        if spec.adopt:
            return Plan(Want.ADOPT, Cause(Reason.CREATING, f"Taking over service {spec.adopt.service_id}."))
        if spec.source is None or spec.service_name is None or spec.uri is None:
            return _invalid("spec.source, spec.serviceName and spec.uri must be set.")
        plan = self._version(ctx, service)
        wiped = FINALIZER in service.metadata.finalizers and service.status.account is None
        return Plan(Want.RECOVER_STATUS) if wiped and plan.want is not Want.CREATE else plan

    def _version(self, ctx: ReconcileContext, service: QianfanService) -> Plan:
        source, why = service.spec.source, Cause(Reason.DEPLOYING, "Applying for the service.")
        if source and source.model_ref:
            return version_of(ctx, service, source.model_ref.name, why)
        if source and source.model_version:
            model, version = source.model_version.model_id, source.model_version.model_version_id
            ids: dict[str, Any] = {
                "modelId" if isinstance(model, int) else "modelIdStr": model,
                "modelVersionId" if isinstance(version, int) else "modelVersionIdStr": version,
            }
            return Plan(Want.CREATE, why, ids)
        return _invalid("spec.source must name a modelRef or a modelVersion.")

    def observe_recorded(self, resource: QianfanService) -> Observation:
        """See Kind."""
        status = resource.status
        phase = endpoints.phase_of(status.service_status) if endpoints.recorded(status) else Phase.ABSENT
        return Observation(phase, endpoints.why(phase, resource, status.service_status))

    def observe(self, ctx: ReconcileContext, account: Account, resource: QianfanService) -> Observation:
        """Look at the service: paid for, deploying, serving."""
        status = resource.status
        if not endpoints.recorded(status):
            return self.observe_recorded(resource)
        service, status = endpoints.seen(account, resource)
        if service is None:
            return Observation(Phase.GONE, endpoints.why(Phase.GONE, resource, None), looked=True)
        if endpoints.is_foreign(service, resource):
            return Observation(Phase.GONE, endpoints.foreign(status), looked=True)
        updates = endpoints.facts(service, status)
        phase = endpoints.phase_of(service.status)
        if drift := endpoints.drifted(service, resource):
            updates |= {"model_id": status.model_id, "model_version_id": status.model_version_id}
            if phase is Phase.READY:
                return Observation(Phase.DRIFTED, drift, updates, looked=True)
        if phase is Phase.UNPAID:
            now = cloud_now(account)
            since = updates["unpaid_since"] = status.unpaid_since or now
            if now and since and seconds_between(since, now) >= resource.spec.payment_deadline_seconds:
                phase = Phase.OVERDUE
        else:
            updates["unpaid_since"] = None
        why, common = endpoints.why(phase, resource, service.status), updates["service_uuid"] is None
        return Observation(phase, why, updates, looked=True, common=common)

    def unapplied(self, resource: QianfanService) -> str:
        """See Kind."""
        sent = {"description": (resource.status.sent_description, resource.spec.description)}
        if not endpoints.recorded(resource.status):
            return ""
        way = "Undo the change, or create another QianfanService with it."
        return edits.unapplied(sent, "the description of a service", way)

    def recover_status(self, ctx: ReconcileContext, account: Account, resource: QianfanService, plan: Plan) -> Step:
        """See Kind: of a service whose source is not there to tell the version; else `create` looks for it."""
        if resource.status.account:  # the process was only interrupted: it knows that the object is new
            return UpdateStatus({})
        found = endpoints.forgotten(ctx, account, resource)
        if isinstance(found, str):
            return stalled(Reason.CREATE_OUTCOME_UNKNOWN, f"{found} If it does, set spec.adopt.serviceId.")
        left = 0.0 if found else ctx.grace_left("wiped", ctx.foreign_version)
        return confirming(left, endpoints.LOOKING) if left else UpdateStatus(found or {"account": account.name})

    def create(self, ctx: ReconcileContext, account: Account, resource: QianfanService, plan: Plan) -> Step:
        """See Kind: the service is always looked for before it is applied for.

        See docs/design/create-protocol.md#services-are-looked-for-first.
        """
        spec = resource.spec
        if spec.adopt:
            return endpoints.adopt(ctx, account, resource, spec.adopt.service_id)
        ids = switch.complete(account, plan.inputs)
        if ids is None:
            return stalled(Reason.INVALID_SPEC, _NO_VERSION)
        mark = Mark.of(ctx.cluster, resource.metadata, resource.kind, 1, f"{ids.model_id}/{ids.model_version_id}")
        wiped = resource.status.account is None
        named = endpoints.named(account, spec.service_name or "", scans=2 if wiped else 1)
        marked = [(item, endpoints.mark_of(account, item)) for item in named]
        own = {mark.uid, Mark.of(ctx.cluster, resource.marked_metadata, resource.kind, 1, "").uid}
        for item, theirs in marked:
            if theirs is None or not mark.same_object(theirs):
                continue
            if theirs.uid in own or not endpoints.is_over(item):  # else: what a predecessor left behind is over
                return UpdateStatus({**endpoints.regained(item, resource, ids), "account": account.name}, marked=True)
        for item, theirs in marked:
            if theirs is None or not mark.same_object(theirs):
                way = "Choose another spec.serviceName."
                if ctx.adopt is Adopt.ANY:  # else it may be another namespace's, of which nobody here is told
                    way = f"Choose another spec.serviceName, or set spec.adopt.serviceId: {item.service_id}."
                taken = f"A service named {spec.service_name} already exists and was not created by this object."
                return stalled(Reason.NAME_TAKEN, f"{taken} {way}")
        if wiped and (left := ctx.grace_left("wiped", ctx.foreign_version)):
            # An apply that the status forgot may still be on its way.
            # See docs/design/create-protocol.md#recovering-a-status.
            return confirming(left, searched_for("service"))
        if refused := _forbidden(ctx, account, resource):
            return refused
        body = {
            "modelId": ids.model_id, "modelVersionId": ids.model_version_id, "name": spec.service_name, "uri": spec.uri,
            "replicas": spec.replicas, "poolType": _POOL[spec.pool_type],
            "description": mark.describe(spec.description),
        }  # fmt: skip
        inputs = {
            "modelId": ids.model_id, "modelVersionId": ids.model_version_id, "name": spec.service_name, "uri": spec.uri,
            "inputsHash": source_hash(resource.spec.source),
        }  # fmt: skip
        updates = {"account": account.name, "sent_description": spec.description or ""}
        return Create("apply", inputs, lambda client: client.prepare_apply(body), updates)

    def status_after_create(self, resource: QianfanService, pending: Pending, reply: Applied) -> Updates:
        """See Kind."""
        inputs, spec = pending.inputs, resource.spec
        return {
            "service_id": reply.service_id, "service_uuid": reply.service_uuid, "service_name": inputs.get("name"),
            "service_status": "New",
            "model_id": inputs.get("modelId"), "model_version_id": inputs.get("modelVersionId"),
            "replicas": spec.replicas, "pool_type": spec.pool_type, "inputs_hash": inputs.get("inputsHash"),
        }  # fmt: skip

    def recorded_ids(self, resource: QianfanService, pending: Pending) -> tuple[object, ...] | None:
        """See Kind."""
        status = resource.status
        return (status.service_id, status.service_uuid) if endpoints.recorded(status) else None

    def ids_of(self, updates: Updates) -> tuple[object, ...]:
        """See Kind."""
        return updates.get("service_id"), updates.get("service_uuid")

    def look(self, ctx: ReconcileContext, account: Account, resource: QianfanService, pending: Pending) -> Found:
        """Find the service by name, model version and uri, by two complete scans; one with another's mark is not it."""
        inputs, version = pending.inputs, pending.inputs.get("modelVersionId")
        mark = Mark.of(ctx.cluster, resource.metadata, resource.kind, 1, "")
        for item in endpoints.named(account, str(inputs.get("name")), scans=2):
            served = {version.model_version_id: version.status for version in item.versions}
            if version not in served or not endpoints.bears(item, inputs.get("uri")) or endpoints.is_over(item):
                continue
            theirs = endpoints.mark_of(account, item)
            if theirs is None or mark.same_object(theirs):
                reply = Applied(item.service_id or 0, item.service_uuid)
                updates = {**self.status_after_create(resource, pending, reply), "service_status": served[version]}
                return Present(updates, marked=theirs is not None)
        return Absent()

    def switch(self, ctx: ReconcileContext, account: Account, resource: QianfanService, plan: Plan) -> Step:
        """Bring another version behind the address: recorded first, then called for, then waited for.

        See docs/design/api.md#switching-a-service.
        """
        begins = not switch.leads_to(resource.status, plan.inputs)  # what is under way was allowed when it began
        if begins and (refused := _forbidden(ctx, account, resource)):
            return refused
        ids = switch.complete(account, plan.inputs, strings=True)
        if ids is None:
            return stalled(Reason.INVALID_SPEC, _NO_VERSION)
        return switch.switch(ctx, account, resource, ids)

    def has_left(self, resource: QianfanService) -> bool:
        """See Kind: nothing was ever applied for."""
        return resource.status.account is not None and not endpoints.recorded(resource.status)

    def release(self, ctx: ReconcileContext, account: Account, resource: QianfanService) -> Released:
        """See Kind."""
        return release.release(ctx, account, resource)

    def abandon(self, account: Account, resource: QianfanService, updates: Updates) -> None:
        """Take offline a service whose object went while it was being applied for."""
        release.abandon(account, resource.status.model_copy(update=dict(updates)))


def _forbidden(ctx: ReconcileContext, account: Account, service: QianfanService) -> Step | None:
    """Refuse a model version that the spec names by its ids and that this object may not serve."""
    source, field = service.spec.source, "spec.source.modelVersion"
    if source and source.model_ref:
        return _unpublished(ctx, account, service, source.model_ref.name)
    if source is None or source.model_version is None or ctx.adopt is Adopt.ANY:
        return None
    if off := adoption.switched_off(ctx, field):
        return off
    try:
        version = account.client.model_version_detail(source.model_version.model_version_id)
    except CloudError as error:
        if error.fate is not Fate.GONE:
            raise
        return stalled(Reason.INVALID_SPEC, _NO_VERSION)
    return adoption.refused_version(ctx, service, field, version)


def _unpublished(ctx: ReconcileContext, account: Account, service: QianfanService, name: str) -> Step | None:
    """Wait for a model object whose status names a version that is not its own: it has not looked since a restart."""
    model = ctx.fetch(Key(QianfanModel.plural, service.metadata.namespace, name))
    if not isinstance(model, QianfanModel) or not versions.published(model.status):
        return None
    version = versions.look(account, model)
    if version is None or not versions.is_foreign(version, model):
        return None
    message = f"The status of QianfanModel {name} names a version that it did not publish."
    synced = Synced("Unknown")
    return Wait(ConditionSummary(False, Reason.DEPENDENCY_NOT_READY, message, reconciling=True, synced=synced))


def _invalid(message: str) -> Plan:
    return Plan(Want.BLOCKED, Cause(Reason.INVALID_SPEC, message))
