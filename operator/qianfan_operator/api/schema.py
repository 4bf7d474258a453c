"""The structural schema of a CRD, made from a pydantic model."""

import json
from typing import Any

from qianfan_operator.api import Resource

_IGNORED = ("$ref", "anyOf", "const", "default", "title", "additionalProperties", "properties", "items")
_CONSTRAINTS = {"ge": "minimum", "le": "maximum"}
"""How pydantic calls a limit of a field whose type has a validator, and the word for it."""


def resource_schema(kind: type[Resource]) -> dict[str, Any]:
    """Write the whole openAPIV3Schema of a kind.

    A spec has no defaults, only words about them: a default that the API server writes would show up as a difference in
    GitOps tools and claim things about adopted resources. A status has nothing but the default -1 of its
    observedGeneration, so that a fresh object looks finished to no tool: on the object for as long as nothing was
    written, on the field for whatever a writer leaves out.

    See docs/design/api.md#principles.
    """
    raw = kind.model_json_schema()
    spec = structural(raw["properties"]["spec"], raw["$defs"], say_defaults=True)
    status = structural(raw["properties"]["status"], raw["$defs"], say_defaults=False)
    status["default"] = {"observedGeneration": -1}
    status["properties"]["observedGeneration"]["default"] = -1
    schema: dict[str, Any] = {
        "description": raw["description"],
        "type": "object",
        "required": ["spec"],  # else `spec: null` goes round every rule
        "properties": {
            "apiVersion": {"type": "string", "description": f"Always {kind.api_version}."},
            "kind": {"type": "string", "description": f"Always {kind.kind}."},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }
    return schema | {name: value for name, value in raw.items() if name.startswith("x-kubernetes-")}


def structural(schema: dict[str, Any], defs: dict[str, Any], *, say_defaults: bool) -> dict[str, Any]:
    """Inline references, make `X | None` an optional X, and turn defaults into words or drop them.

    What a field says of itself wins over what its type says.
    """
    if "$ref" in schema:
        target = defs[schema["$ref"].removeprefix("#/$defs/")]
        return structural({**target, **_without(schema, "$ref")}, defs, say_defaults=say_defaults)
    if "anyOf" in schema:
        (only,) = (branch for branch in schema["anyOf"] if branch != {"type": "null"})
        return structural({**only, **_without(schema, "anyOf")}, defs, say_defaults=say_defaults)
    made = {name: schema[name] for name in ("description", "type") if name in schema} | _without(schema, *_IGNORED)
    made |= {word: made.pop(name) for name, word in _CONSTRAINTS.items() if name in made}
    if "const" in schema:
        made["enum"] = [schema["const"]]
    if (others := schema.get("additionalProperties")) is True:
        made["x-kubernetes-preserve-unknown-fields"] = True
    elif others:
        made["additionalProperties"] = structural(others, defs, say_defaults=say_defaults)
    if say_defaults and isinstance(default := schema.get("default"), str | int):
        made["description"] += f" Default: {default if isinstance(default, str) else json.dumps(default)}."
    if "properties" in schema:
        made["properties"] = {
            name: structural(inner, defs, say_defaults=say_defaults) for name, inner in schema["properties"].items()
        }
    if "items" in schema:
        made["items"] = structural(schema["items"], defs, say_defaults=say_defaults)
    return made


def _without(schema: dict[str, Any], *names: str) -> dict[str, Any]:
    """Copy a schema, but for these keywords."""
    return {name: value for name, value in schema.items() if name not in names}
