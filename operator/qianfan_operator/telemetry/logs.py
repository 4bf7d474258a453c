"""Logging: one line per record, JSON or text, cleaned and bounded.

Whatever a record holds, its line cannot be split, extended or flooded by it: every text in it is cleaned and bounded,
and in the text format it is quoted. Records of libraries, warnings and exceptions that nobody caught go the same way.
"""

import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from urllib3.exceptions import InsecureRequestWarning

from qianfan_operator.text import clean

MESSAGE_LIMIT, FIELD_LIMIT = 1024, 1024  # characters
LINES_LIMIT, LINE_LIMIT = 80, 256  # of a traceback: lines, and characters of each
FIELDS_LIMIT = 20  # fields of a record, and items of a field
_TIME = "%Y-%m-%dT%H:%M:%S%z"
_LARGEST = 2**63  # beyond it, JSON's readers disagree
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS = frozenset({"time", "level", "logger", "message", "msg", "exception", "stack"})
_PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+")  # what needs no quotes
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_.-]")

log = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """One JSON object per line. Text stays readable in any script: what could do harm in it was escaped before."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; never raises."""
        line = {"time": self.formatTime(record, _TIME), **_content(self, record)}
        return json.dumps(line, ensure_ascii=False, allow_nan=False)


class TextFormatter(logging.Formatter):
    """A line for people, in logfmt: `name=value` with quotes around what is no plain word."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; never raises."""
        content = _content(self, record)
        line = {"time": self.formatTime(record, _TIME), "level": content.pop("level")}
        line |= {"msg": content.pop("message"), **content}
        return " ".join(f"{name}={_quoted(value)}" for name, value in line.items())


def configure(style: str, level: str) -> None:
    """Set up the root logger; `style` is `json` or `text`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # The clients of the API server and of the cloud report each connection.
    for name in ("aiohttp.access", "urllib3", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("kopf").setLevel(logging.ERROR)  # the rest is its inner life, or the operator tells it itself
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # else a record that cannot be written becomes a traceback that is no JSON
    # Each request would warn; that a certificate is not verified is told once, at the start.
    warnings.simplefilter("ignore", InsecureRequestWarning)
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda args: log.error(
        "An exception could not be raised",
        exc_info=(args.exc_type, args.exc_value, args.exc_traceback) if args.exc_value else None,
    )
    threading.excepthook = lambda args: log.critical(
        "A thread has ended by an exception",
        exc_info=(args.exc_type, args.exc_value, args.exc_traceback) if args.exc_value else None,
    )


def _uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("The process ends by an exception", exc_info=(kind, error, traceback))


def _content(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    """Everything of a record but its time, cleaned."""
    content: dict[str, Any] = {
        "level": record.levelname,
        "logger": clean(record.name, FIELD_LIMIT),
        "message": clean(_message(record), MESSAGE_LIMIT),
        **dict(_fields(record)),
    }
    if record.exc_info:
        content["exception"] = _lines(formatter.formatException(record.exc_info))
    if record.stack_info:
        content["stack"] = _lines(formatter.formatStack(record.stack_info))
    return content


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Yield what a record says beside its message; a field without a value says nothing."""
    names = [name for name in vars(record) if name not in _STANDARD and name != "k8s_ref"]
    for name in [name for name in names if not _is_empty(vars(record)[name])][:FIELDS_LIMIT]:
        shown = _NOT_A_NAME.sub("_", name)[:FIELD_LIMIT]
        yield f"field_{shown}" if shown in _OURS else shown, _value(vars(record)[name])


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value)


def _value(value: object, *, nested: bool = False) -> Any:
    """Make of a field what JSON can say of it, in bounds."""
    if value is None or isinstance(value, bool):
        return value
    if type(value) in {int, float} and abs(value) < _LARGEST:  # type: ignore[arg-type]  # false for NaN, too
        return value
    if isinstance(value, list | tuple) and not nested:
        return _items(value)
    return clean(_text(value), FIELD_LIMIT)


def _items(values: Sequence[object]) -> list[Any]:
    """Bound a list; of a longer one, the last item says how many are left out."""
    most = FIELDS_LIMIT if len(values) <= FIELDS_LIMIT else FIELDS_LIMIT - 1
    left_out = [f"… {len(values) - most} more"] if len(values) > most else []
    return [*(_value(item, nested=True) for item in values[:most]), *left_out]


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit are a mistake of the caller's, which may not cost the line
        return _text(record.msg)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # the same for what cannot be written
        return f"<{type(value).__name__}>"


def _lines(text: str) -> str:
    """Bound a text of several lines: of too many, the beginning tells where it happened and the end what it was."""
    lines = [clean(line, LINE_LIMIT) for line in text.split("\n")]
    if len(lines) > LINES_LIMIT:
        half = LINES_LIMIT // 2
        lines = [*lines[:half], "...", *lines[-half:]]
    return "\n".join(lines)


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
