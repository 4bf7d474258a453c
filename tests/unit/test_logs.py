"""One line per record, with its fields and without secrets."""

import json
import logging
import re
import subprocess
import sys
import threading

import pytest

from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.telemetry.logs import JsonFormatter, TextFormatter, configure

KEYS = AccessKey("ALTAKexample00000000", "very-secret")


def record(message: str, *args: object, **fields: object) -> logging.LogRecord:
    return logging.getLogger("qianfan_operator.test").makeRecord(
        "qianfan_operator.test", logging.INFO, "file.py", 1, message, args, None, extra=fields
    )


def failing(message: str) -> logging.LogRecord:
    failed, error = record("It failed"), ValueError(message)
    failed.exc_info = type(error), error, None
    return failed


def test_a_json_line_has_the_fields_of_its_record() -> None:
    """Whoever collects the logs can search by object, and reads Chinese as it was written."""
    line = JsonFormatter().format(record("Created %s", "训练", object="qianfanjobs/team/faq", ids=(1, 2)))
    assert "训练" in line
    parsed = json.loads(line)
    assert parsed.pop("time")
    assert parsed == {
        "level": "INFO", "logger": "qianfan_operator.test", "message": "Created 训练",
        "object": "qianfanjobs/team/faq", "ids": [1, 2],
    }  # fmt: skip


@pytest.mark.parametrize("many", [20, 21, 1000])
def test_a_list_that_is_cut_says_so(many: int) -> None:
    """The beginning of a long list is told, and how many items are not."""
    told = json.loads(JsonFormatter().format(record("Left", ids=list(range(many)))))["ids"]
    assert told == (list(range(20)) if many == 20 else [*range(19), f"… {many - 19} more"])


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_a_field_without_a_value_is_left_out(formatter: logging.Formatter) -> None:
    """An outage has no request id, and the cloud seldom says when to come again; zero and false are values."""
    line = formatter.format(record("cloud call failed", request_id="", retry_after=None, left=0, lasting=False))
    assert "request_id" not in line
    assert "retry_after" not in line
    assert "left" in line
    assert "lasting" in line


def test_a_json_record_is_one_line() -> None:
    """A traceback and a message of several lines stay in one line, so that collectors keep them together."""
    line = JsonFormatter().format(failing("first\nsecond"))
    assert "\n" not in line
    assert "ValueError: first\nsecond" in json.loads(line)["exception"]


def test_a_text_line_reads_well() -> None:
    """A person sees time and zone, level, message, fields, and a traceback in the same line; quoted is what must be."""
    formatter = TextFormatter()
    assert re.match(r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ", formatter.format(record("Started")))
    tail = "level=INFO msg=Started logger=qianfan_operator.test port=8080 cloud=http://127.0.0.1:8900"
    assert formatter.format(record("Started", port=8080, cloud="http://127.0.0.1:8900")).endswith(tail)
    assert 'msg="cloud call failed"' in formatter.format(record("cloud call failed"))
    assert formatter.format(failing("no")).endswith('exception="ValueError: no"')


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_a_key_pair_does_not_reach_a_log_line(formatter: logging.Formatter) -> None:
    """Not as a field, not as an argument, not in an exception."""
    shown = formatter.format(record("With %s", KEYS, keys=KEYS, more=[KEYS])) + formatter.format(failing(f"{KEYS}"))
    assert "account=" in shown
    assert KEYS.access_key not in shown
    assert KEYS.secret_key not in shown


@pytest.mark.parametrize(("style", "formatter"), [("json", JsonFormatter), ("text", TextFormatter)])
def test_the_style_and_the_level_are_settings(
    monkeypatch: pytest.MonkeyPatch, style: str, formatter: type[logging.Formatter]
) -> None:
    """The root logger gets one handler in the wanted style; what libraries say of each call stays out."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    try:
        configure(style, "DEBUG")
        (handler,) = root.handlers
        assert isinstance(handler.formatter, formatter)
        assert root.level == logging.DEBUG
        assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.INFO)
        assert not logging.getLogger("kopf._core.reactor.running").isEnabledFor(logging.WARNING)
        assert logging.getLogger("kopf.objects").isEnabledFor(logging.ERROR)
        assert logging.getLogger("qianfan_operator").isEnabledFor(logging.DEBUG)
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:] = handlers
        root.setLevel(level)


STRAY = """
import logging, sys, threading, warnings
from qianfan_operator.telemetry.logs import configure
configure("json", "INFO")
warnings.warn("first\\nsecond")
logging.getLogger("urllib3").warning("Connection %s", "lost\\nand found")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise ValueError("bad\\nend")
"""


def test_what_libraries_and_python_itself_tell_is_logged_in_the_same_way() -> None:
    """Warnings, records of libraries, a thread and a process that end by an exception: a JSON object on a line each."""
    done = subprocess.run([sys.executable, "-c", STRAY], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["logger"] for line in lines] == [
        "py.warnings",
        "urllib3",
        "qianfan_operator.telemetry.logs",
        "qianfan_operator.telemetry.logs",
    ]
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert lines[1]["message"] == r"Connection lost\nand found"
    assert done.returncode == 1
