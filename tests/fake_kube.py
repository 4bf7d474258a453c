"""A Kubernetes API server in a dict, as far as the operator uses one: guarded writes, generations, finalizers, a watch.

It has the methods of `qianfan_operator.kube.Kube`, refuses the same names, and has others for whoever plays the user.
Whatever changes is queued as a watch event, and `deliver` hands the events over: what the operator writes comes back to
it later, as in a cluster.
"""

import copy
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from qianfan_operator.api.common import FINALIZER, Resource
from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Conflict, Invalid, NotFound, api_path
from qianfan_operator.telemetry.redacted import RedactedDict

Raw = dict[str, Any]
Around = Callable[[str, Callable[[], Any]], Any]
NAMESPACE = "default"


class FakeKube:
    """One namespace of one cluster. `now` gives RFC 3339; every call of the operator goes through `around`."""

    def __init__(self, kinds: Mapping[str, type[Resource]], now: Callable[[], str]) -> None:
        self._kinds = {kind.kind: kind for kind in kinds.values()}
        self._models, self._now = kinds, now
        self._versions, self._uids = itertools.count(1), itertools.count(1)
        self.objects: dict[Key, Raw] = {}
        self.secrets: dict[tuple[str, str], dict[str, str]] = {}
        self.labels: dict[str, dict[str, str]] = {}
        """The labels of namespaces; each namespace is there."""
        self.crds: dict[str, Raw | None] = {}
        """The metadata of definitions, by name, that are not as at the start."""
        self.events: list[Raw] = []
        self.writes: list[tuple[str, Key, Raw]] = []
        """The operator's writes that changed something: what kind of write, which object, how it was then."""
        self.on_status: list[Callable[[Raw], None]] = []
        """Looked at by: every status that is written."""
        self.around: Around = lambda _, do: do()
        self.unknown: frozenset[str] = frozenset()
        """Fields of statuses, at any depth, that the definitions do not know: they are dropped."""
        self._changes: deque[tuple[str, str, Raw]] = deque()

    # What the operator calls.

    def get(self, key: Key) -> Raw:
        """Read an object as it is now."""
        api_path(*key)
        return self.around("get", lambda: copy.deepcopy(self._find(key)))

    def uids(self, plural: str) -> Iterator[tuple[Key, str]]:
        """Tell every object of a kind, with its uid."""
        yield from [(key, raw["metadata"]["uid"]) for key, raw in self.objects.items() if key.plural == plural]

    def patch_status(self, key: Key, resource_version: str, status: Mapping[str, Any]) -> Raw:
        """Merge into the status."""
        return self.around("patch_status", lambda: self._patch_status(key, resource_version, status))

    def patch_finalizers(self, key: Key, resource_version: str, finalizers: list[str]) -> Raw:
        """Replace the finalizers; without any, an object that is being deleted goes."""
        return self.around("patch_finalizers", lambda: self._patch_finalizers(key, resource_version, finalizers))

    def secret(self, namespace: str, name: str) -> RedactedDict:
        """Read a Secret."""
        api_path("secrets", namespace, name)
        return self.around("secret", lambda: self._secret(namespace, name))

    def namespace_labels(self, name: str) -> dict[str, str]:
        """Read the labels of a namespace."""
        return self.around("namespace_labels", lambda: dict(self.labels.get(name, {})))

    def crd_metadata(self, name: str) -> Raw:
        """Read the metadata of a CustomResourceDefinition; None stands for one that is gone."""
        api_path("customresourcedefinitions", name=name)
        return self.around("crd_metadata", lambda: self._crd_metadata(name))

    def cluster_uid(self) -> str:
        """Tell what stands for the cluster."""
        return "cluster-uid"

    def post_event(self, event: Raw) -> None:
        """Keep an Event."""
        self.around("post_event", lambda: self.events.append(copy.deepcopy(event)))

    def patch_event(self, namespace: str, name: str, change: Mapping[str, Any]) -> None:
        """Merge into an Event that is kept."""
        self.around("patch_event", lambda: self._patch_event(name, change))

    # What the user does.

    def apply(self, manifest: Mapping[str, Any]) -> Key:
        """Create the object, or replace its spec and add its annotations."""
        kind, metadata = self._kinds[manifest["kind"]], manifest["metadata"]
        key = Key(kind.plural, metadata.get("namespace", NAMESPACE), metadata["name"])
        if key in self.objects:
            self.patch_spec(key, lambda spec: (spec.clear(), spec.update(copy.deepcopy(manifest["spec"]))))
            self.annotate(key, **metadata.get("annotations", {}))
            return key
        raw = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "uid": f"uid-{next(self._uids)}",
                "generation": 1,
                "creationTimestamp": self._now(),
                "annotations": dict(metadata.get("annotations", {})),
            },
            "spec": copy.deepcopy(manifest["spec"]),
            "status": {"observedGeneration": -1},
        }
        self.objects[key] = raw
        self._changed(key, "ADDED")
        return key

    def patch_spec(self, key: Key, change: Callable[[Raw], object] | None = None, **fields: object) -> None:
        """Change a spec by a function, or set fields of it; None removes one. A new generation, if it is another."""
        raw = self._find(key)
        before = copy.deepcopy(raw["spec"])
        if change:
            change(raw["spec"])
        raw["spec"].update(fields)
        raw["spec"] = {name: value for name, value in raw["spec"].items() if value is not None}
        if raw["spec"] != before:
            raw["metadata"]["generation"] += 1
            self._changed(key)

    def annotate(self, key: Key, **annotations: str) -> None:
        """Set annotations."""
        if annotations:
            self._find(key)["metadata"]["annotations"].update(annotations)
            self._changed(key)

    def delete(self, key: Key) -> None:
        """Delete an object; with finalizers it only gets its mark, which is a new generation."""
        raw = self._find(key)
        metadata = raw["metadata"]
        if not metadata.get("finalizers"):
            self._remove(key)
        elif "deletionTimestamp" not in metadata:
            metadata["deletionTimestamp"] = self._now()
            metadata["generation"] += 1
            self._changed(key)

    def wipe_status(self, key: Key) -> None:
        """Forget the status, as a backup that was restored without it does."""
        self._find(key)["status"] = {"observedGeneration": -1}
        self._changed(key)

    def write_status(self, key: Key, status: Raw) -> None:
        """Write a status and the operator's finalizer, as a restore from a backup does, or who may write everything."""
        raw = self._find(key)
        raw["status"] = copy.deepcopy(status)
        raw["metadata"]["finalizers"] = [FINALIZER]
        self._changed(key)

    def lose(self, key: Key) -> None:
        """Lose an object with whatever keeps it, as a cluster does that has to be restored from a backup."""
        self._remove(key)

    def remove_finalizer(self, key: Key) -> None:
        """Take the operator's finalizer off by hand."""
        metadata = self._find(key)["metadata"]
        metadata["finalizers"] = [name for name in metadata.get("finalizers", []) if name != FINALIZER]
        if "deletionTimestamp" in metadata and not metadata["finalizers"]:
            self._remove(key)
        else:
            self._changed(key)

    # The watch.

    def listing(self) -> list[tuple[str, Raw]]:
        """List everything, by plural; what has changed until now needs no event any more."""
        self._changes.clear()
        return [(key.plural, copy.deepcopy(raw)) for key, raw in self.objects.items()]

    def deliver(self, seen: Callable[[str, str, Raw], None]) -> None:
        """Hand over what has changed since the last time, in its order."""
        while self._changes:
            seen(*self._changes.popleft())

    # Inside.

    def _find(self, key: Key) -> Raw:
        if key not in self.objects:
            raise NotFound(f"{key} is not there")
        return self.objects[key]

    def _guarded(self, key: Key, resource_version: str) -> Raw:
        raw = self._find(key)
        if raw["metadata"]["resourceVersion"] != resource_version:
            raise Conflict(f"{key} is {raw['metadata']['resourceVersion']}, not {resource_version}")
        return raw

    def _patch_status(self, key: Key, resource_version: str, patch: Mapping[str, Any]) -> Raw:
        raw = self._guarded(key, resource_version)
        status = _pruned(merge(raw["status"], patch), self.unknown)
        model = self._models[key.plural].model_fields["status"].annotation
        known = model.model_validate(status).to_dict() if model is not None else {}
        if strange := [name for name, value in status.items() if known.get(name) != value]:
            raise Invalid(f"the schema of {key.plural} does not take this: {strange}")
        if status != raw["status"]:
            raw["status"] = status
            self._changed(key)
            self._wrote("status", key)
            for look in self.on_status:
                look(copy.deepcopy(raw))
        return copy.deepcopy(raw)

    def _patch_finalizers(self, key: Key, resource_version: str, finalizers: list[str]) -> Raw:
        raw = self._guarded(key, resource_version)
        metadata = raw["metadata"]
        deleting = "deletionTimestamp" in metadata
        if deleting and set(finalizers) - set(metadata.get("finalizers", [])):
            raise Invalid("no new finalizers can be added if the object is being deleted")
        metadata["finalizers"] = list(finalizers)
        self._wrote("finalizers", key)
        if deleting and not finalizers:
            self._remove(key)
        else:
            self._changed(key)
        return copy.deepcopy(raw)

    def _secret(self, namespace: str, name: str) -> RedactedDict:
        if (namespace, name) not in self.secrets:
            raise NotFound(f"Secret {namespace}/{name} is not there")
        return RedactedDict(self.secrets[namespace, name])

    def _crd_metadata(self, name: str) -> Raw:
        found = self.crds.get(name, {"name": name, "creationTimestamp": "2024-01-01T00:00:00Z"})
        if found is None:
            raise NotFound(f"{name} is not there")
        return {"name": name, **found}

    def _patch_event(self, name: str, change: Mapping[str, Any]) -> None:
        found = [event for event in self.events if event["metadata"]["name"] == name]
        if not found:
            raise NotFound(f"Event {name} is not there")
        found[0].update(change)

    def _changed(self, key: Key, event: str = "MODIFIED") -> None:
        raw = self.objects[key]
        raw["metadata"]["resourceVersion"] = str(next(self._versions))
        self._changes.append((key.plural, event, copy.deepcopy(raw)))

    def _remove(self, key: Key) -> None:
        self._changed(key, "DELETED")
        del self.objects[key]

    def _wrote(self, what: str, key: Key) -> None:
        self.writes.append((what, key, copy.deepcopy(self.objects[key])))


def _pruned(value: Any, unknown: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_pruned(one, unknown) for one in value]
    if isinstance(value, Mapping):
        return {name: _pruned(inner, unknown) for name, inner in value.items() if name not in unknown}
    return value


def merge(old: Mapping[str, Any], patch: Mapping[str, Any]) -> Raw:
    """Apply a JSON merge patch (RFC 7396) to an object."""
    merged = dict(old)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            before = merged.get(name)
            merged[name] = merge(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged
