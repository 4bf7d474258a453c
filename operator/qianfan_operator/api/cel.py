"""Helpers for CEL validation rules, which stand beside the fields that they guard.

A rule refuses as little as possible: a refused update blocks a whole GitOps dry-run, and tools with a "force" option
delete and re-create what was refused. So nothing here judges an object whose spec did not change, which also
keeps finalizers removable: rules on the root compare with `oldSelf`, all others sit at or below `spec`, where the API
server lets an unchanged value pass.

A refusal is read by a person. Where OpenAPI's own keyword would answer with a regular expression, or count characters
and call them bytes, a rule in words stands instead of it, and the keyword only in the model.

See docs/design/api.md#principles.
"""

from typing import Any, Literal

from pydantic import WithJsonSchema

VALIDATIONS = "x-kubernetes-validations"


def rule(expression: str, message: str) -> dict[str, Any]:
    """Make one validation rule."""
    return {"rule": expression, "message": message}


def at(path: str, reason: Literal["FieldValueRequired", "FieldValueForbidden"]) -> dict[str, Any]:
    """Have the error name this path, relative to the schema that carries the rule, and begin with the reason."""
    return {"fieldPath": path, "reason": reason}


def text(expression: str, message: str, **limits: int) -> WithJsonSchema:
    """Write the schema of a string with one rule; `limits` are further keywords."""
    return WithJsonSchema({"type": "string", **limits, VALIDATIONS: [rule(expression, message)]})


def characters(most: int, least: int = 0) -> WithJsonSchema:
    """Write the schema of a string of so many characters.

    The keyword beside the rule stands at the bytes that so many characters may take: its answer counts in bytes, and
    does not repeat the value, as a rule's does.
    """
    bytes_ = {"maxLength": 4 * most}
    if not least:
        return text(f"size(self) <= {most}", f"must have at most {most} characters", **bytes_)
    return text(f"size(self) >= {least} && size(self) <= {most}", f"must have {least} to {most} characters", **bytes_)


def needed(name: str, *instead: str) -> dict[str, Any]:
    """Make the rule that a field of a spec is there, or one `instead` of it; an object that did without may go on."""
    others = ("adopt", *instead)
    there = " || ".join(f"has(self.{other})" for other in (name, *others))
    was = " || ".join(f"has(oldSelf.value().{other})" for other in (name, *instead))
    message = f"must be set, or instead of it {' or '.join(f'`{other}`' for other in reversed(others))}"
    required = rule(f"{there} || oldSelf.hasValue() && !({was})", message) | at(f".{name}", "FieldValueRequired")
    return {**required, "optionalOldSelf": True}  # so that it judges new objects as well


def fixed(name: str, unless: str, message: str, default: str | None = None) -> dict[str, Any]:
    """Make the rule, for the root, that `spec.<name>` does not change `unless` an expression holds."""
    return rule(f"{unless} || ({unchanged(name, default)})", message) | at(f".spec.{name}", "FieldValueForbidden")


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
