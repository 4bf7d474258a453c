"""The envelope of a reply: from bytes to the `result`, or to an error.

Three layers answer, each in its own style: IAM with headers and perhaps no body; V1 with HTTP 200 and an `error_code`
(a success has no such key: its presence is the test, not its value); V2 with HTTP >= 400 and a `code`.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from qianfan_operator.cloud.errors import CODE_LIMIT, OWN_CODES, CloudError, one_line
from qianfan_operator.retry_after import retry_after

_CREDENTIALS: Final = re.compile(r"//[^/]*@")
_TARGET_LIMIT: Final = 120  # characters of the target of a redirect

DEPTH_LIMIT: Final = 32
"""Levels of nesting in a reply; the deepest known one has seven. Interpreters differ in what they can read."""

# IAM names the cause in its message and not always in a code header; these two texts are known literally.
# See docs/design/wire.md#replies-and-errors.
_IAM_CAUSES: Final = (
    ("Could not find credential", "InvalidAccessKeyId"),
    ("SignatureDoesNotMatch", "SignatureDoesNotMatch"),
    ("Signature does not match", "SignatureDoesNotMatch"),
)
_WORD: Final = re.compile(r"[A-Z][A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the header names in lower case, and the body's JSON object, empty if it is none."""

    status: int
    headers: Mapping[str, str]
    document: Mapping[str, object]

    @classmethod
    def decode(cls, status: int, headers: Mapping[str, str], body: bytes) -> "Answer":
        """Read an unpacked body; whatever is not a JSON object, or nested too deeply, counts as no object."""
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = {}
        names = {name.lower(): value for name, value in headers.items()}
        return cls(status, names, document if isinstance(document, dict) and _is_shallow(document) else {})

    @property
    def is_the_clouds(self) -> bool:
        """Whether the cloud itself answered; the `Date` of a proxy says nothing about the cloud's clock."""
        return "log_id" in self.document or "requestId" in self.document or "x-bce-error-message" in self.headers


@dataclass(frozen=True, slots=True)
class Reply:
    """A success: what the call returned, and the word by which the cloud's support finds it."""

    result: object
    request_id: str


def read_reply(operation: str, answer: Answer, redact: Callable[[str], str]) -> Reply:
    """Return the success that `answer` is.

    Raises CloudError for everything else: the cloud's own code if it gives one, "HTTP <status>" if somebody on the
    way answered, "BadReply" for what should be JSON and is not. `redact` cleans texts of the cloud of our keys.
    """
    document = answer.document
    request_id = _text(document, "log_id", "requestId") or answer.headers.get("x-bce-request-id", "")

    def error(code: str, message: str = "") -> CloudError:
        return CloudError(
            operation,
            redact(code),
            redact(message),
            request_id=redact(request_id),
            http_status=answer.status,
            retry_after=retry_after(answer.headers.get("retry-after")),
        )

    if "error_code" in document:
        code, message = _text(document, "error_code"), _text(document, "error_msg")
        raise error(_iam_code(message) or _theirs(code) or "BadReply", message)
    if _text(document, "code") and (answer.status >= 400 or "result" not in document):
        message = _text(document, "message")
        raise error(_iam_code(message) or _theirs(_text(document, "code")), message)
    if answer.status != 200:
        message = answer.headers.get("x-bce-error-message", "")
        code = answer.headers.get("x-bce-error-code", "")
        if code or message:
            raise error(_iam_code(message) or _theirs(code) or _denied_code(answer.status, message), message)
        raise error(f"HTTP {answer.status}", _foreign(answer))
    if not document:
        raise error("BadReply", "The answer is not the JSON object that it should be.")
    return Reply(document.get("result"), one_line(redact(request_id), CODE_LIMIT))


def _is_shallow(document: dict[object, object]) -> bool:
    """Tell whether nothing lies deeper than DEPTH_LIMIT; goes level by level, so that depth costs no stack."""
    level: list[dict[object, object] | list[object]] = [document]
    for _ in range(DEPTH_LIMIT):
        inner = (value.values() if isinstance(value, dict) else value for value in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return True
    return False


def _text(document: Mapping[str, object], *keys: str) -> str:
    """Return the first of `keys` that holds a string or an integer, as text; codes and log ids come as both."""
    for key in keys:
        value = document.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    return ""


def _foreign(answer: Answer) -> str:
    """Describe an answer that is not the cloud's; the target of a redirect without what may hold a secret."""
    location = answer.headers.get("location", "")
    if not 300 <= answer.status < 400 or not location:
        return "The answer did not come from the cloud's console interface."
    target = _CREDENTIALS.sub("//", location.split("?")[0].split("#")[0])
    return (
        f"The answer is a redirect to {one_line(target, _TARGET_LIMIT)}, which is not followed."
        " Correct QIANFAN_CONSOLE_API_BASE_URL, or the proxy that redirects."
    )


def _theirs(code: str) -> str:
    """Return a code that the cloud gave; one that is our own word, which may prove something, is told apart from it."""
    return f"reply:{code}" if code in OWN_CODES or code.startswith("HTTP ") else code


def _iam_code(message: str) -> str:
    return next((code for cause, code in _IAM_CAUSES if cause in message), "")


def _denied_code(status: int, message: str) -> str:
    """Name an IAM refusal that has a message and no code: the word before the cause, else what the status says."""
    word = _WORD.match(message.partition(", cause:")[0])
    if word and ", cause:" in message:
        return word.group()
    return "AccessDenied" if status in {401, 403} else f"HTTP {status}"
