"""A name becomes a path of the API server: no text leads to another object than the one that it names."""

import ast
import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import qianfan_operator
from attacks.recorder import Recorder
from qianfan_operator.api.keys import Key
from qianfan_operator.kube.client import Kube, KubeError

MINE = "tenant-a"
HOSTILE = [
    "../../tenant-b/secrets/qianfan-credentials", "../qianfan-credentials", "..", ".", "%2e%2e", "%2e%2e%2f%2e%2e",
    "..%2f..%2ftenant-b", "x?watch=true&fieldSelector=metadata.name=x", "x#", "x;a=b", "x/status", "/x", "x/", "x\n",
    "\nx", "x\x00", "x\r\nHost: y", "", " ", "x y", "X", "密钥", "\u202e", "x\\..\\y", "x" * 254, "-x", "x-", "a..b",
    "a.", "*", "x:exec", "\ud800",
]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(alphabet="./%?#&=\\:; 2e\n\rx-", max_size=40),
    st.text(max_size=300),
    st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?){0,3}", fullmatch=True),
)
CALLS: dict[str, tuple[int, Callable[[Kube, str, str], object]]] = {
    "get": (7, lambda kube, namespace, name: kube.get(Key("qianfanjobs", namespace, name))),
    "patch_status": (8, lambda kube, namespace, name: kube.patch_status(Key("qianfanjobs", namespace, name), "1", {})),
    "patch_finalizers": (
        7,
        lambda kube, namespace, name: kube.patch_finalizers(Key("qianfanmodels", namespace, name), "1", []),
    ),
    "secret": (6, lambda kube, namespace, name: kube.secret(namespace, name)),
    "patch_event": (7, lambda kube, namespace, name: kube.patch_event(namespace, name, {})),
    "post_event": (
        6,
        lambda kube, namespace, name: kube.post_event({"metadata": {"namespace": namespace, "name": name}}),
    ),
}
"""How many segments the path has, and the call."""
RULE = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"


@pytest.fixture(scope="module")
def kube(recorder: Recorder) -> Kube:
    """Supply a client of that server, whose address is in kubectl's configuration meanwhile."""
    assert recorder.url
    return Kube(1)


def sent(recorder: Recorder, call: Callable[[], object]) -> list[str]:
    """Make a call, which may be refused; return the paths that went over the wire."""
    recorder.requests.clear()
    recorder.answer = None
    with contextlib.suppress(KubeError):
        call()
    return [path for _, path in recorder.requests]


def each_hostile_text(test: Any) -> Any:
    """Have hypothesis try every one of the texts that are known to be dangerous, whatever else it tries."""
    for text in HOSTILE:
        test = example(text=text)(test)
    return settings(deadline=None, max_examples=50)(test)


@pytest.mark.parametrize("operation", CALLS)
@each_hostile_text
@given(text=TEXTS)
def test_a_name_reaches_its_own_object_or_nothing(recorder: Recorder, kube: Kube, operation: str, text: str) -> None:
    """Whatever stands for a name: one request in the object's namespace with the usual segments, or none at all."""
    segments, call = CALLS[operation]
    paths = sent(recorder, lambda: call(kube, MINE, text))
    is_name = re.fullmatch(RULE, text) is not None and len(text) <= 253
    if operation == "post_event":  # the name stands in the body, which is the API server's to judge
        is_name = True
    assert len(paths) == int(is_name)
    for path in paths:
        parts = urlsplit(path).path.strip("/").split("/")
        assert parts[parts.index("namespaces") + 1] == MINE
        assert len(parts) == segments
        assert urlsplit(path).query in {"", "fieldManager=qianfan-operator"}
        assert not urlsplit(path).fragment


@pytest.mark.parametrize("operation", CALLS)
@each_hostile_text
@given(text=TEXTS)
def test_a_namespace_is_one_segment_or_nothing(recorder: Recorder, kube: Kube, operation: str, text: str) -> None:
    """Whatever stands for a namespace: one request with the usual segments, or none at all."""
    segments, call = CALLS[operation]
    paths = sent(recorder, lambda: call(kube, text, "essay"))
    assert len(paths) == int(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text) is not None)
    for path in paths:
        parts = urlsplit(path).path.strip("/").split("/")
        assert parts[parts.index("namespaces") + 1] == text
        assert len(parts) == segments


@each_hostile_text
@given(text=TEXTS)
def test_a_lease_is_one_of_our_own_namespace_or_none(recorder: Recorder, kube: Kube, text: str) -> None:
    """A name of a Lease that came from anywhere stays in our namespace, too."""
    for call in (lambda: kube.lease(text), lambda: kube.replace_lease({"metadata": {"name": text}})):
        for path in sent(recorder, call):
            assert path == f"/apis/coordination.k8s.io/v1/namespaces/qianfan-system/leases/{text}"


@settings(deadline=None, max_examples=50)
@given(text=st.text(max_size=200))
def test_where_a_list_goes_on_is_one_value_of_the_query(recorder: Recorder, kube: Kube, text: str) -> None:
    """What the API server gives as `continue` comes back to it as it was, and as nothing else."""
    recorder.requests.clear()
    pages = iter([{"items": [], "metadata": {"continue": text}}, {"items": [], "metadata": {}}])
    recorder.reply = lambda *_: next(pages)  # type: ignore[method-assign]
    try:
        list(kube.uids("qianfanjobs"))
    finally:
        del recorder.reply
    (_, first), *more = recorder.requests
    assert urlsplit(first).path == "/apis/qianfan.dev/v1alpha1/qianfanjobs"
    for _, path in more:
        at, query = path.split("?", 1)
        assert at == urlsplit(first).path
        assert sorted(part.partition("=")[0] for part in query.split("&")) == ["continue", "limit"]
        assert unquote(dict(part.split("=") for part in query.split("&"))["continue"]) == text


@pytest.mark.parametrize("operation", [*sorted(set(CALLS) - {"post_event"}), "lease"])
@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"namespace": "tenant-b", "name": "essay"}, id="another namespace"),
        pytest.param({"namespace": MINE, "name": "other"}, id="another name"),
        pytest.param({"name": "essay"}, id="no namespace"),
        pytest.param({}, id="nothing"),
        pytest.param(None, id="no metadata"),
    ],
)
def test_a_reply_about_another_object_is_none(
    recorder: Recorder, kube: Kube, operation: str, told: Mapping[str, str] | None
) -> None:
    """What is believed is what was asked for: not another namespace's Secret, not another object's status."""
    recorder.answer = {"data": {}, **({} if told is None else {"metadata": {**told, "resourceVersion": "1"}})}
    with pytest.raises(KubeError):
        kube.lease("essay") if operation == "lease" else CALLS[operation][1](kube, MINE, "essay")


@pytest.mark.parametrize("answer", [[], None, "text", 5], ids=repr)
def test_a_reply_that_is_no_object_is_none(recorder: Recorder, kube: Kube, answer: Any) -> None:
    """A reply of another shape fails as one that cannot be read does, not somewhere behind it."""
    recorder.reply = lambda *_: answer  # type: ignore[method-assign]
    try:
        with pytest.raises(KubeError):
            kube.secret(MINE, "essay")
    finally:
        del recorder.reply


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("part", ["namespace", "name"])
def test_a_list_brings_names_or_fails(recorder: Recorder, kube: Kube, part: str, text: str) -> None:
    """A name that a list brings goes into paths later: what is none is not believed."""
    metadata = {"namespace": MINE, "name": "essay", "uid": "u", part: text}
    recorder.answer = {"items": [{"metadata": metadata}], "metadata": {}}
    with pytest.raises(KubeError):
        list(kube.uids("qianfanjobs"))


def test_no_path_is_written_anywhere_else() -> None:
    """One function writes paths, and only `Kube` sends them: no other code holds a piece of one."""
    folder = Path(qianfan_operator.__file__).parent
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in words else None
            if isinstance(text, str) and re.search(r"^/apis?(/|$)|/namespaces/|/(secrets|leases|events)/", text):
                found.add(f"{file.name}: {text}")
            if isinstance(node, ast.Attribute) and node.attr in {"param_serialize", "call_api"}:
                found.add(f"{file.name} uses {node.attr}")
    assert {one for one in found if not one.startswith("client.py")} == set()
    source = ast.parse((folder / "kube" / "client.py").read_text(encoding="utf-8"))
    users = {
        function.name
        for function in ast.walk(source)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Name | ast.Attribute)
        and (node.id if isinstance(node, ast.Name) else node.attr) in {"_ROOTS", "api_path", "call_api", "_send"}
    }
    assert users == {"api_path", "_call", "_send", "versions"}
