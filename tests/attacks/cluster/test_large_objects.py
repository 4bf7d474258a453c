"""The API server refuses what no operator could read or hold, at every field of every kind, and keeps what is usual."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from admission.conftest import Server
from attacks.specs import Node, specs
from qianfan_devcluster.cluster import Cluster
from reconcile import manifests

HUGE = "x" * 1_400_000  # bytes: with it, an object just fits into etcd
BASES = {"QianfanJob": manifests.job, "QianfanModel": manifests.model, "QianfanService": manifests.service}
_numbers = itertools.count(1)


@pytest.fixture
def server(cluster: Cluster, namespace: str) -> Iterator[Server]:
    server = Server(cluster, namespace)
    yield server
    server.close()


def create(server: Server, kind: str, spec: Node, **replaced: str) -> Any:
    """Create an object; each text of `replaced` is put, as JSON, in place of its name."""
    name = f"large-{next(_numbers)}"
    document = {"apiVersion": "qianfan.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    text = json.dumps(document)
    for word, value in replaced.items():
        text = text.replace(f'"{word}"', value)
    return server.send_text("POST", kind, text)


def texts(node: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every field of a schema that takes a text of the user's own; `[]` and `{}` stand for what it has."""
    takes = node.get("type") == "string" or "x-kubernetes-int-or-string" in node
    if path and "enum" not in node and (takes or "type" not in node):
        yield path
    for name, inner in node.get("properties", {}).items():
        yield from texts(inner, (*path, name))
    for word, mark, most in (("items", "[]", "maxItems"), ("additionalProperties", "{}", "maxProperties")):
        if word in node and node.get(most) != 0:
            yield from texts(node[word], (*path, mark))


def put(spec: Any, path: tuple[str, ...], value: Any) -> Any:
    """Return a spec with a value at a path."""
    if not path:
        return value
    name, *rest = path
    if name == "[]":
        return [put(None, tuple(rest), value)]
    key = "key" if name == "{}" else name
    before = spec if isinstance(spec, dict) else {}
    return {**before, key: put(before.get(key), tuple(rest), value)}


@pytest.mark.parametrize("kind", sorted(BASES))
def test_no_field_takes_a_text_that_fills_the_object(server: Server, kind: str) -> None:
    """1.4 MB at any place of a spec are refused, in a short answer that does not repeat them."""
    base, taken = BASES[kind]()["spec"], []
    for path in texts(specs()[kind]):
        answer = create(server, kind, put(base, path, HUGE))
        assert len(answer.content) < 10_000, path
        if answer.status_code != 422 or "Too long" not in answer.text:
            taken.append((path, answer.status_code))

    assert taken == []


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [4, 9000])
def test_no_extra_nests_deeper_than_it_can_be_read(server: Server, depth: int, opening: str, closing: str) -> None:
    """Nesting beyond three levels is refused with 422, however deep it is."""
    spec = put(manifests.job()["spec"], ("trainConfig", "extra", "{}"), "DEEP")
    answer = create(server, "QianfanJob", spec, DEEP=f"{opening * depth}1{closing * depth}")

    assert answer.status_code == 422
    assert "spec.trainConfig.extra.key" in answer.text
    assert "must have at most 0 items" in answer.text


def test_what_is_usual_in_extra_is_kept(server: Server) -> None:
    """Numbers, words, truth values, lists and objects come back as they were written."""
    extra = {
        "saveStep": 64, "sampling": 0.1, "packing": True, "word": "线性", "none": {}, "pairs": [[1, None], []],
        "modules": ["q_proj", "k_proj"], "corpus": {"ratio": "1:1", "labels": ["a"]}, "parts": [{"a": 0.5}],
    }  # fmt: skip
    spec = put(manifests.job()["spec"], ("trainConfig", "extra"), extra)
    answer = create(server, "QianfanJob", spec)

    assert answer.status_code == 201
    assert answer.json()["spec"] == spec
