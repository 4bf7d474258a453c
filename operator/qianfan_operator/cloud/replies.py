"""The envelope of a reply: from bytes to the `result`, or to an error.

Three layers answer, each in its own style: IAM with headers and perhaps no body; V1 with HTTP 200 and an `error_code`
(a success has no such key: its presence is the test, not its value); V2 with HTTP >= 400 and a `code`.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from qianfan_operator.cloud.errors import CODE_LIMIT, CREATES, OWN_CODES, CloudError, one_line
from qianfan_operator.retry_after import retry_after

_CREDENTIALS: Final = re.compile(r"//[^/]*@")
_TARGET_LIMIT: Final = 120  # characters of the target of a redirect

DEPTH_LIMIT: Final = 32
"""Levels of nesting in a reply; the deepest known one has seven. Interpreters differ in what they can read."""

# IAM names the cause in its message and not always in a code; these texts are known literally. They count only at the
# place where IAM writes them, and beside no other code: any other message may quote them, of a call of the cloud's own.
# See docs/design/wire.md#replies-and-errors.
_IAM_CAUSE: Final = re.compile(
    r"(?:NotFound, cause: )?(Could not find credential)"
    r"|(?:SignatureDoesNotMatch, cause: )?(?:Fail to authn user: )?(SignatureDoesNotMatch|Signature does not match)"
)
_IAM_CODES: Final = frozenset({"", "NotFound", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_QUOTED: Final = "reply:"  # before a code that is not to be taken for what it says
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

    Raises CloudError for everything else: the cloud's own code if it gives one, "HTTP <status>" if its gateway or
    somebody on the way answered, "BadReply" for what should be JSON and is not. `redact` cleans texts of the cloud of
    our keys.
    """
    document = answer.document
    request_id = _text(document, "log_id", "requestId") or answer.headers.get("x-bce-request-id", "")

    def ours(code: str, message: str = "") -> CloudError:
        return CloudError(
            operation,
            code,
            redact(message),
            request_id=redact(request_id),
            http_status=answer.status,
            retry_after=retry_after(answer.headers.get("retry-after")),
        )

    def theirs(code: str, message: str) -> CloudError:
        return ours(_theirs(one_line(redact(code), CODE_LIMIT)), message)

    if "error_code" in document:
        code, message = _text(document, "error_code"), _text(document, "error_msg")
        raise theirs(code, message) if code.strip() else ours("BadReply", message)
    if _text(document, "code") and (answer.status >= 400 or "result" not in document):
        code, message = _text(document, "code"), _text(document, "message")
        if operation in CREATES and not _is_proof(answer, code):
            raise ours(f"{_QUOTED}{one_line(redact(code), CODE_LIMIT)}", message)
        raise theirs(_iam_code(code, message) or code, message)
    if answer.status != 200:
        message = answer.headers.get("x-bce-error-message", "")
        code = answer.headers.get("x-bce-error-code", "")
        if word := _iam_code(code, message) or code.strip() or _denied_word(answer.status, message):
            raise theirs(word, message)
        raise ours(f"HTTP {answer.status}", message or _foreign(answer))
    if not document:
        raise ours("BadReply", "The answer is not the JSON object that it should be.")
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
        return "The cloud, or a proxy before it, answered without a Qianfan error code."
    target = _CREDENTIALS.sub("//", location.split("?")[0].split("#")[0])
    return (
        f"The answer is a redirect to {one_line(target, _TARGET_LIMIT)}, which is not followed."
        " Correct QIANFAN_CONSOLE_API_BASE_URL, or the proxy that redirects."
    )


def _theirs(code: str) -> str:
    """Return a code that came in, in its final form; one that reads as our own word is told apart from that.

    Our own words may prove that nothing was sent, so that whoever answers may not say them.
    """
    return f"{_QUOTED}{code}" if code in OWN_CODES or code.startswith("HTTP ") else code


def _is_proof(answer: Answer, code: str) -> bool:
    """Tell whether a body with `code` may say of a create that it was refused.

    All creates are V1's, whose numbers come as `error_code`: a number here is another server's, such as gRPC's 6. And
    what bears no mark of the cloud is the answer of somebody on the way, who may have passed the request on.
    """
    marked = answer.is_the_clouds or "x-bce-error-code" in answer.headers or "x-bce-request-id" in answer.headers
    return marked and not code.strip().isdecimal()


def _iam_code(code: str, message: str) -> str:
    """Name bad keys by the message of IAM; "" if it is not such a message."""
    cause = _IAM_CAUSE.match(message.strip()) if code.strip() in _IAM_CODES else None
    if cause is None:
        return ""
    return "InvalidAccessKeyId" if cause.group(1) else "SignatureDoesNotMatch"


def _denied_word(status: int, message: str) -> str:
    """Name an IAM refusal that has a message and no code: the word before the cause, else by the status; "" if none."""
    before, cause, _ = message.partition(", cause:")
    if cause:
        return before if _WORD.fullmatch(before) else ""
    return "AccessDenied" if message and status in {401, 403} else ""
