"""Checks `bce-auth-v1` signatures. Written from the contract alone: it shares no mistake with a signer.

See docs/design/wire.md#signature.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from qianfan_simulator.errors import IamError

_VALUE = re.compile(r"bce-auth-v1/([^/]+)/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)/(\d{1,9})/([^/]*)/([0-9a-f]{64})")
_DEFAULT_HEADERS = {"host", "content-md5", "content-length", "content-type"}


def claimed_key(authorization: str) -> str:
    """Return the access key that an Authorization value names, unverified; empty when it names none."""
    parts = authorization.split("/", 2)
    return parts[1] if len(parts) == 3 else ""


def check(
    *,
    method: str,
    target: str,
    headers: Mapping[str, str],
    secret_of: Callable[[str], str | None],
    clocks: Iterable[float],
    tolerance: float,
) -> str:
    """Return the access key that signed this request.

    `target` is the raw path with its query, `headers` compare without regard to case. The signature must be valid at
    one of `clocks`, in unix seconds; it may lie `tolerance` seconds in the future. Raises IamError.
    """
    value = headers.get("Authorization", "")
    if not value:
        raise IamError(403, "AccessDenied", "Access denied.")
    if (match := _VALUE.fullmatch(value)) is None:
        raise IamError(400, "InvalidHTTPAuthHeader", "The HTTP authorization header is invalid.")
    access_key, timestamp, period, listed, signature = match.groups()
    begins = _moment(timestamp)
    if (secret := secret_of(access_key)) is None:
        raise IamError(403, "InvalidAccessKeyId", "NotFound, cause: Could not find credential.")

    prefix = f"bce-auth-v1/{access_key}/{timestamp}/{period}"
    signing_key = _hmac(secret, prefix)
    present = {name.lower(): text.strip() for name, text in headers.items() if text.strip()}
    texts = (
        f"{method}\n{path}\n{_query(target)}\n{_headers(present, names)}"
        for path in _paths(target)
        for names in _signed(present, listed)
    )
    if not any(hmac.compare_digest(_hmac(signing_key, text), signature) for text in texts):
        message = "SignatureDoesNotMatch, cause: Fail to authn user: Signature does not match"
        raise IamError(403, "SignatureDoesNotMatch", message)
    if not any(begins - tolerance <= now <= begins + int(period) for now in clocks):
        raise IamError(400, "RequestExpired", "Request has expired.")
    return access_key


def _moment(timestamp: str) -> float:
    try:
        return datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise IamError(400, "InvalidHTTPAuthHeader", "The HTTP authorization header is invalid.") from None


def _signed(present: Mapping[str, str], listed: str) -> Iterable[set[str]]:
    """Return the header sets that the signature may be over.

    Some signers add every x-bce-* header that is present, listed or not, so an honest signature may be over either
    set. The host is in both, or there is none: a request that could be replayed elsewhere is not signed.
    """
    stamps = {name for name in present if name.startswith("x-bce-")}
    names = set(listed.lower().split(";")) if listed else _DEFAULT_HEADERS | stamps
    if "host" not in names:
        raise IamError(400, "InvalidHTTPAuthHeader", "The host header must be signed.")
    yield names | stamps
    if not stamps <= names:
        yield names


def _paths(target: str) -> Iterable[str]:
    """Yield the canonical path, and that with one leading slash: old SDKs send two and sign one.

    See docs/design/wire.md#sdk-quirks.
    """
    path = _quote(unquote(target.partition("?")[0]), keep="/")
    yield path
    if path.startswith("//"):
        yield "/" + path.lstrip("/")


def _query(target: str) -> str:
    pairs = []
    for item in target.partition("?")[2].split("&"):
        key, _, value = item.partition("=")
        if key and unquote(key).lower() != "authorization":
            pairs.append(f"{_quote(unquote(key))}={_quote(unquote(value))}")
    return "&".join(sorted(pairs))


def _headers(present: Mapping[str, str], names: set[str]) -> str:
    return "\n".join(sorted(f"{name}:{_quote(present[name])}" for name in names if name in present))


def _quote(text: str, keep: str = "") -> str:
    return quote(text, safe="-._~" + keep, errors="surrogateescape")


def _hmac(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
