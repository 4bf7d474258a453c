"""The API server's own rules (CEL), written beside the models that they guard.

A rule refuses as little as possible: a refused update blocks a whole GitOps dry-run, and tools with a "force" option
delete and re-create what was refused (design 2). So nothing here judges an object whose spec did not change, which also
keeps finalizers removable: rules on the root compare with `oldSelf`, all others sit at or below `spec`, where the API
server lets an unchanged value pass.
"""

from typing import Any

VALIDATIONS = "x-kubernetes-validations"


def rule(expression: str, message: str, *, at: str | None = None, on_create_too: bool = False) -> dict[str, Any]:
    """Make one validation rule.

    `at` is the path that the error names, relative to the schema that carries the rule. `on_create_too` makes `oldSelf`
    an optional, so that a rule that mentions it runs for new objects as well.
    """
    made: dict[str, Any] = {"rule": expression, "message": message}
    if at is not None:
        made["fieldPath"] = at
    if on_create_too:
        made["optionalOldSelf"] = True
    return made


def rules(*made: dict[str, Any], **extensions: Any) -> dict[str, Any]:
    """Return the `json_schema_extra` that puts these rules into the schema of a field or a model."""
    return {VALIDATIONS: list(made), **extensions}


def exactly_one(*names: str) -> dict[str, Any]:
    """Make the rule that exactly one of these fields is there."""
    count = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in names)
    return rule(f"{count} == 1", f"must set exactly one of {_listed(names)}")


def unchanged(name: str, default: str | None = None) -> str:
    """Say, for the root, that `spec.<name>` was neither added, changed nor removed.

    A field for which the operator has a `default` (a CEL literal) may be written out or left out at will.
    """
    new, old = f"self.spec.{name}", f"oldSelf.spec.{name}"
    if default is not None:
        return f"(has({new}) ? {new} : {default}) == (has({old}) ? {old} : {default})"
    return f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"


def recorded(name: str) -> str:
    """Say, for the root, that `status.<name>` was there before this update."""
    return f"has(oldSelf.status) && has(oldSelf.status.{name})"


def _listed(names: tuple[str, ...]) -> str:
    """Name two or more fields as a person would list them."""
    quoted = [f"`{name}`" for name in names]
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"
