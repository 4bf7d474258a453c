"""The ways to the middle of a chain, for the stories that begin there."""

from collections.abc import Callable
from typing import Any

from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Forbidden, KubeError
from reconcile.manifests import job, model, service
from reconcile.world import World

TRAIN = Key("qianfanjobs", "default", "train")
PUBLISH = Key("qianfanmodels", "default", "publish")


def published(world: World, **fields: Any) -> dict[str, Any]:
    """Train and publish; return the model's status."""
    world.kube.apply(job())
    world.kube.apply(model(**fields))
    return world.until(PUBLISH, "Available")


def serving(world: World, **fields: Any) -> Key:
    """Apply for a service, pay for it, and wait until it serves."""
    key = world.kube.apply(service(**fields))
    world.until(key, "PaymentRequired")
    world.sim.pay()
    world.until(key, "Available")
    return key


def next_version(world: World, attempt: int = 2) -> dict[str, Any]:
    """Train another attempt and publish it by the same model object; return the model's status."""
    world.kube.patch_spec(PUBLISH, updatePolicy="Follow")
    world.kube.patch_spec(TRAIN, attempt=attempt)
    world.run(lambda: world.is_so(PUBLISH) and world.status(PUBLISH)["version"] == str(attempt))
    return world.status(PUBLISH)


def version_of(status: dict[str, Any], suffix: str = "") -> dict[str, Any]:
    """The source of a service that names a version by its ids; `suffix` "Str" takes the strings."""
    ids = {"modelId": status[f"modelId{suffix}"], "modelVersionId": status[f"modelVersionId{suffix}"]}
    return {"modelVersion": ids}


def refuse_finalizers(world: World, error: type[KubeError] = Forbidden, words: str = "policy.example.org: no") -> None:
    """Have a policy refuse what puts the finalizer on."""

    def around(call: str, do: Callable[[], Any]) -> Any:
        if call == "patch_finalizers":
            raise error(f"PATCH /apis/qianfan.dev/v1alpha1/namespaces/default/any: 403 {words}")
        return do()

    world.kube.around = around
