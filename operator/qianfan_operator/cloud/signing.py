r"""The signature `bce-auth-v1`, as a pure function.

    prefix           = bce-auth-v1/{access key}/{timestamp}/{seconds it lives}
    signing key      = hex(HMAC-SHA256(secret key, prefix))          the hex *text* is the next key, not the digest
    canonical        = METHOD \n path \n sorted query \n sorted headers
    authorization    = prefix/{signed header names}/hex(HMAC-SHA256(signing key, canonical))

The body is not signed and there is no nonce: within its lifetime a signed request can be delivered twice.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from qianfan_operator.cloud.access_key import AccessKey


def timestamp(epoch: float) -> str:
    """Write seconds since 1970 as `YYYY-MM-DDThh:mm:ssZ`; the fraction is cut off, so that it is never early."""
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def authorization(
    keys: AccessKey,
    *,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    signed_at: float,
    expires_in: int,
) -> str:
    """Return the `Authorization` header of one request.

    `path` is not yet percent-encoded; `headers` are those to sign, `host` among them; `signed_at` is in seconds since
    1970 and `expires_in` in seconds from then on.
    """
    prefix = f"bce-auth-v1/{keys.access_key}/{timestamp(signed_at)}/{expires_in}"
    signing_key = _hmac(keys.secret_key, prefix)
    signed = {name.lower(): value.strip() for name, value in headers.items() if value.strip()}
    signature = _hmac(signing_key, canonical_request(method, path, query, signed))
    return f"{prefix}/{';'.join(sorted(signed))}/{signature}"


def canonical_request(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Return the text that is signed: four parts, one below the other, no newline at the end."""
    pairs = (f"{_encode(key)}={_encode(value)}" for key, value in query.items() if key.lower() != "authorization")
    lines = (f"{name.lower()}:{_encode(value.strip())}" for name, value in headers.items())
    return "\n".join((method.upper(), quote(path, safe="/"), "&".join(sorted(pairs)), "\n".join(sorted(lines))))


def _encode(value: str) -> str:
    """Percent-encode all but the unreserved characters of RFC 3986; `/` and `:` are encoded, too."""
    return quote(value, safe="")


def _hmac(key: str, message: str) -> str:
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
