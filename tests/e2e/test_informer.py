"""The informer hears of new objects whatever the way to the API server does to it: as leader and as stand-by."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from email.utils import formatdate
from pathlib import Path

import pytest
from aiohttp import web

from attacks.cluster.stage import NAMESPACE, Stage, path
from e2e.fault_proxy import FaultProxy, Rule, certificate
from e2e.place import JOB, job
from qianfan_operator.__main__ import LOST
from qianfan_simulator import Never, Options

SETTINGS = {"INFORMER_CHECK_SEC": "0.5", "INFORMER_PATIENCE_SEC": "9", "LEASE_DURATION_SEC": "60"}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(Options(training=Never())) as stage:
        yield stage


class Line:
    """One operator, the way that it takes, and the files that say how; both files are renewed in place."""

    def __init__(self, stage: Stage, folder: Path, name: str, **settings: str) -> None:
        self.stage, self.folder, self.name = stage, folder, name
        self.authority, self.token = folder / f"{name}-ca", folder / f"{name}-token"
        pair = self.renew("first")
        self.proxy = FaultProxy(stage.cluster, *pair)
        self.renew_token()
        self.authority.write_bytes(pair[0].read_bytes())
        cluster = {"server": f"https://127.0.0.1:{self.proxy.port}", "certificate-authority": str(self.authority)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "x", "cluster": cluster}],
            "users": [{"name": "x", "user": {"tokenFile": str(self.token)}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "current-context": "x",
        }
        kubeconfig = folder / f"{name}-kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        self.operator = stage.operator(name, **{**SETTINGS, **settings}, kubeconfig=kubeconfig)  # type: ignore[arg-type]

    def renew(self, name: str) -> tuple[Path, Path]:
        """Make a certificate that nobody trusts yet."""
        return certificate(self.folder, f"{self.name}-{name}")

    def renew_token(self) -> str:
        """Write a new token; returns it."""
        token = self.stage.cluster.token("qianfan-system", "qianfan-operator")
        self.token.write_text(token)
        return token

    def objects(self) -> int:
        """How many objects the operator knows."""
        (line,) = (one for one in self.operator.metrics().splitlines() if one.startswith("qianfan_objects "))
        return int(float(line.split()[-1]))

    def complains(self, words: str, since: int = 0) -> bool:
        """Whether the log has a refusal with these words."""
        return any(words in str(line.get("answer", "")) for line in self.operator.log()[since:])


@pytest.fixture(scope="module")
def lines(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Line]]:
    """The leader, and the one that stands by."""
    with ExitStack() as stack:
        lines = []
        for name in ("leader", "other"):
            lines.append(Line(stage, tmp_path_factory.mktemp(name), name))
            stack.enter_context(closing(lines[-1].proxy))
            lines[-1].operator.start()
            stack.callback(lines[-1].operator.die)
            if name == "leader":
                lines[-1].operator.until_leading()
        yield lines


class Times:
    """A rule that answers some requests wrongly, a number of times."""

    def __init__(self, times: int, which: Callable[[web.BaseRequest], bool], **wrong: object) -> None:
        self.left, self._which, self._wrong = times, which, wrong

    def __call__(self, request: web.BaseRequest) -> Callable[[], web.Response] | None:
        if not self.left or not self._which(request):
            return None
        self.left -= 1
        return lambda: web.Response(**self._wrong)  # type: ignore[arg-type]


def a_watch(request: web.BaseRequest) -> bool:
    return "watch" in request.query and request.path.endswith(JOB)


def anything(_: web.BaseRequest) -> bool:
    return True


def later() -> dict[str, str]:
    return {"Retry-After": formatdate(time.time() + 120, usegmt=True)}


FAULTS: dict[str, Callable[[], Times]] = {
    "401 once": lambda: Times(1, a_watch, status=401),
    "401 on everything": lambda: Times(20, anything, status=401),
    "403": lambda: Times(3, a_watch, status=403),
    "404": lambda: Times(2, a_watch, status=404),
    "410": lambda: Times(2, a_watch, status=410),
    "429, seconds": lambda: Times(1, a_watch, status=429, headers={"Retry-After": "120"}),
    "429, a date": lambda: Times(1, a_watch, status=429, headers=later()),
    "500": lambda: Times(3, a_watch, status=500),
    "503, HTML": lambda: Times(2, a_watch, status=503, text="<html>", content_type="text/html"),
    "200, HTML": lambda: Times(2, a_watch, status=200, text="<html>", content_type="text/html"),
}


def made(stage: Stage, lines: list[Line], name: str) -> None:
    """A new object is served by the one, and known to the other."""
    before = [line.objects() for line in lines]
    stage.call("POST", path(JOB, NAMESPACE), json.dumps(job(name)))
    stage.until(JOB, name, "Training")
    for line, count in zip(lines, before, strict=True):
        stage.eyes.wait_for(lambda line=line, count=count: line.objects() > count, lambda: f"{name} is not heard of")
        assert line.operator.healthy()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_watch_that_is_refused_for_a_while_goes_on(stage: Stage, lines: list[Line], fault: str) -> None:
    """Nothing of it lasts, and nobody waits for as long as a `Retry-After` says."""
    rules = [FAULTS[fault]() for _ in lines]
    for line, rule in zip(lines, rules, strict=True):
        line.proxy.answer(rule)
        line.proxy.break_watches()
    for line, rule in zip(lines, rules, strict=True):
        stage.eyes.wait_for(lambda rule=rule: not rule.left, lambda line=line: f"not met: {line.operator.log()[-9:]}")
    made(stage, lines, "after-" + fault.lower().replace(" ", "-").replace(",", ""))


def test_a_line_that_is_cut_is_read_again(stage: Stage, lines: list[Line]) -> None:
    for line in lines:
        line.proxy.break_watches(b'{"type":"ADDED","object":{"kind":"Qian')
    made(stage, lines, "after-a-cut")


def test_a_watch_that_is_open_and_silent_is_given_up(stage: Stage, lines: list[Line]) -> None:
    """A list shows what it has missed; then the kind is listed anew."""
    for line in lines:
        line.proxy.swallow(a_watch)
    name = "after-silence"
    before = [line.objects() for line in lines]
    stage.call("POST", path(JOB, NAMESPACE), json.dumps(job(name)))
    for line, count in zip(lines, before, strict=True):
        stage.eyes.wait_for(lambda line=line, count=count: line.objects() > count, lambda: f"{name} is not heard of")
        line.proxy.swallow()
        line.proxy.break_watches()
    stage.until(JOB, name, "Training")


def test_a_token_that_is_renewed_late_is_read(stage: Stage, lines: list[Line]) -> None:
    for line in lines:
        since = len(line.operator.log())
        old = f"Bearer {line.token.read_text()}"

        def refuse(request: web.BaseRequest, old: str = old) -> Callable[[], web.Response] | None:
            told = request.headers.get("Authorization", "").lower()
            return (lambda: web.Response(status=401)) if told == old.lower() else None

        line.proxy.answer(refuse)
        line.proxy.break_watches()
        stage.eyes.wait_for(lambda line=line, since=since: line.complains("401", since), lambda: "not refused")
        line.renew_token()
    made(stage, lines, "after-a-token")


@pytest.mark.parametrize("late", [False, True], ids=["the authority first", "the certificate first"])
def test_a_certificate_of_another_authority_is_trusted_once_the_file_says_so(
    stage: Stage, lines: list[Line], late: bool
) -> None:
    """The API server starts again with another certificate; the file with the authority is renewed in place."""
    for line in lines:
        since = len(line.operator.log())
        pair = line.renew(f"late-{late}")
        if not late:
            line.authority.write_bytes(line.authority.read_bytes() + pair[0].read_bytes())
        line.proxy.restart(*pair)
        if late:
            stage.eyes.wait_for(
                lambda line=line, since=since: line.complains("certificate is not trusted", since),
                lambda: "not refused",
            )
            line.authority.write_bytes(pair[0].read_bytes())
    made(stage, lines, f"after-an-authority-{late}".lower())


def test_the_one_that_stood_by_serves_all_of_it(stage: Stage, lines: list[Line]) -> None:
    leader, other = lines
    for line in lines:
        line.proxy.answer(lambda _: None)
    assert leader.operator.terminate() == 0
    other.operator.until_leading()
    made(stage, [other], "at-the-other")


PERMANENT: dict[str, Rule] = {
    "401 on everything": lambda _: lambda: web.Response(status=401),
    "403 on one watch": lambda request: (lambda: web.Response(status=403)) if a_watch(request) else None,
}


@pytest.mark.parametrize("fault", [pytest.param("401 on everything", marks=pytest.mark.proof), "403 on one watch"])
def test_credentials_that_stay_refused_end_the_process(stage: Stage, tmp_path: Path, fault: str) -> None:
    line = Line(stage, tmp_path, f"refused-{len(fault)}", INFORMER_PATIENCE_SEC="2", LEADER_ELECTION="false")
    with closing(line.proxy):
        line.operator.start()
        line.proxy.answer(PERMANENT[fault])
        line.proxy.break_watches()
        assert line.operator.until_ended() == LOST


def test_a_watch_that_stays_deaf_is_told_and_ends_the_process(stage: Stage, tmp_path: Path) -> None:
    """Neither the watch nor the lists of the informer bring anything, and nothing fails."""

    def never(request: web.BaseRequest) -> Callable[[], web.Response] | None:
        lists = request.path.endswith(JOB) and "limit" in request.query
        if lists and "PartialObjectMetadata" not in request.headers.get("Accept", ""):
            return lambda: web.Response(status=500)
        return None

    line = Line(stage, tmp_path, "deaf", INFORMER_PATIENCE_SEC="2", LEADER_ELECTION="false")
    with closing(line.proxy):
        line.operator.start()
        line.proxy.answer(never)
        line.proxy.swallow(a_watch)
        stage.call("POST", path(JOB, NAMESPACE), json.dumps(job("unheard")))
        stage.eyes.wait_for(lambda: not line.operator.healthy(), lambda: "it says that it is well")
        assert line.operator.until_ended() == LOST
