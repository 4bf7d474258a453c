"""The keeper: whatever becomes of the parent, its processes and its folder go."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster.endings import gone
from qianfan_devcluster.keeper import Keeper

_PARENT = """
import json, os, sys
from qianfan_devcluster.keeper import Keeper

keeper = Keeper()
pids = [keeper.start(name, ["sleep", "1000"]) for name in ("one", "two")]
keeper.signal("two", __import__("signal").SIGSTOP)
(keeper.folder / "data").mkdir()
fork = os.fork() if "fork" in sys.argv else None
if fork == 0:
    __import__("signal").pause()
print(json.dumps({"folder": str(keeper.folder), "pids": pids, "keeper": keeper.pid, "fork": fork}), flush=True)
if sys.stdin.readline() == "raise\\n":
    raise ValueError("on purpose")
"""


@pytest.mark.parametrize("ending", ["kill", "terminate", "interrupt", "raise", "return"])
def test_nothing_outlives_the_parent(ending: str) -> None:
    """However the parent ends, with or without a chance to clean up, its processes and its folder are gone."""
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    told = json.loads(parent.stdout.readline())
    assert Path(told["folder"], "data").is_dir()
    number = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}.get(ending)
    if number:
        parent.send_signal(number)
    parent.communicate(None if number else f"{ending}\n", timeout=60)
    assert gone([told["keeper"], *told["pids"]])
    assert not Path(told["folder"]).exists()


def test_a_fork_that_holds_the_pipe_does_not_keep_the_household_alive() -> None:
    """A forked child of the parent inherits the pipe's end; the household still ends with the parent."""
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, "fork"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    told = json.loads(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait()
        assert gone([told["keeper"], *told["pids"]])
        assert not Path(told["folder"]).exists()
    finally:
        os.kill(told["fork"], signal.SIGKILL)
        parent.stdin.close()
        parent.stdout.close()


def test_processes_do_not_outlive_a_killed_keeper() -> None:
    """If the keeper itself is killed, the kernel takes its processes along, and the parent is told."""
    keeper = Keeper()
    pid = keeper.start("one", ["sleep", "1000"])
    os.kill(keeper.pid, signal.SIGKILL)
    assert gone([keeper.pid, pid])
    with pytest.raises(RuntimeError, match="cluster is gone"):
        keeper.exit_code("one")
    keeper.close()
    keeper.folder.joinpath("one.log").unlink()
    keeper.folder.rmdir()


def test_a_process_writes_to_its_log_and_leaves_an_exit_code() -> None:
    """What a process says and how it ended can be told afterwards."""
    keeper = Keeper()
    try:
        pid = keeper.start("one", ["sh", "-c", "echo said; echo complained >&2; exit 3"])
        assert gone([pid])
        assert keeper.exit_code("one") == 3
        assert keeper.log("one").read_text() == "said\ncomplained\n"
    finally:
        keeper.close()


def test_killing_and_starting_again_appends_to_the_log() -> None:
    """A name can be used again once its process is gone, and not before."""
    keeper = Keeper()
    try:
        first = keeper.start("one", ["sleep", "1000"])
        with pytest.raises(RuntimeError, match="one is still running"):
            keeper.start("one", ["sleep", "1000"])
        keeper.kill("one")
        assert keeper.exit_code("one") == -signal.SIGKILL
        assert keeper.start("one", ["sleep", "1000"]) != first
    finally:
        keeper.close()


def test_what_cannot_be_done_is_said() -> None:
    """A program that is not there, a name never started and a closed keeper are errors with the name in them."""
    keeper = Keeper()
    with pytest.raises(RuntimeError, match=r"one cannot be run: .*no-such-program"):
        keeper.start("one", ["/no-such-program"])
    with pytest.raises(RuntimeError, match="two was never started"):
        keeper.kill("two")
    keeper.close()
    keeper.close()
    with pytest.raises(RuntimeError, match="closed"):
        keeper.kill("one")


def test_an_interrupt_between_question_and_answer_confuses_nobody() -> None:
    """After a Ctrl-C at any moment of a question, the next question gets its own answer."""
    keeper = Keeper()
    try:
        keeper.start("one", ["sleep", "1000"])
        os.kill(keeper.pid, signal.SIGSTOP)
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            keeper.kill("one")  # nobody answers, until the alarm interrupts
        signal.signal(signal.SIGALRM, before)
        os.kill(keeper.pid, signal.SIGCONT)
        assert keeper.exit_code("one") == -signal.SIGKILL
    finally:
        keeper.close()
