"""The signature agrees with the vendor's, for the known vectors and for everything else."""

import hashlib
import hmac
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.signing import authorization, canonical_request, timestamp

KEYS = AccessKey("ALTAKexample00000000", "0123456789abcdef0123456789abcdef")
AT = datetime(2024, 3, 1, 8, tzinfo=UTC).timestamp()
DATE = "2024-03-01T08:00:00Z"


@pytest.mark.parametrize(
    ("path", "query", "headers", "expires_in", "signed", "signature"),
    [
        pytest.param(
            "/wenxinworkshop/finetune/createTask",
            {},
            {"Host": "qianfan.baidubce.com", "x-bce-date": DATE},
            1800,
            "host;x-bce-date",
            "88e53443949da02deafb3befd86d08c8ccfd1a49ef8ef6e8a199d44ec320d524",
            id="A, a V1 call",
        ),
        pytest.param(
            "/v2/finetuning",
            {"Action": "DescribeFineTuningTask"},
            {
                "Content-Type": "application/json",
                "Host": "qianfan.baidubce.com",
                "request-source": "qianfan_py_sdk_v0.4.12.3",
                "x-bce-date": DATE,
            },
            300,
            "content-type;host;request-source;x-bce-date",
            "e3e44864b9d24971c036464eac04db440096f6684da2229d32dde0aed3d7ac5f",
            id="B, a V2 call with a query",
        ),
        pytest.param(
            "/wenxinworkshop/service/list",
            {},
            {"Host": "127.0.0.1:8866", "x-bce-date": DATE},
            1800,
            "host;x-bce-date",
            "65feb7f04b0b08fef88f48b0106bf195b4f113a25a44706c6ef5666ba4094fb3",
            id="C, a host with a port",
        ),
    ],
)
def test_the_vendors_vectors(*, path, query, headers, expires_in, signed, signature):
    """The three vectors made by the vendor's own signer come out letter for letter."""
    value = authorization(
        KEYS, method="POST", path=path, query=query, headers=headers, signed_at=AT, expires_in=expires_in
    )
    assert value == f"bce-auth-v1/{KEYS.access_key}/{DATE}/{expires_in}/{signed}/{signature}"


def test_the_canonical_request_is_the_documented_one():
    """The text that is signed has the shape that the documentation prints, without a newline at its end."""
    text = canonical_request("post", "/v2/finetuning", {"Action": "X"}, {"Host": "h:1", "x-bce-date": DATE})
    assert text == "POST\n/v2/finetuning\nAction=X\nhost:h%3A1\nx-bce-date:2024-03-01T08%3A00%3A00Z"


def test_a_timestamp_is_never_early():
    """A fraction of a second is cut off, so that a signature never outlives what was promised."""
    assert timestamp(AT + 0.999) == DATE


def test_empty_headers_are_not_signed():
    """A header without a value is neither listed nor signed."""
    with_empty, without = (
        authorization(KEYS, method="POST", path="/", query={}, headers=headers, signed_at=AT, expires_in=1)
        for headers in ({"host": "h", "x-empty": "  "}, {"host": "h"})
    )
    assert with_empty == without


def recompute(keys, *, method, path, query, headers, at, expires_in):
    """The same signature, written down a second time from the description, byte by byte."""
    unreserved = (string.ascii_letters + string.digits + "-._~").encode()

    def encode(text, keep=b""):
        return b"".join(bytes([c]) if c in unreserved + keep else b"%%%02X" % c for c in text.encode())

    when = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    prefix = "/".join(["bce-auth-v1", keys.access_key, when, str(expires_in)]).encode()
    key = hmac.digest(keys.secret_key.encode(), prefix, hashlib.sha256).hex().encode()
    pairs = [encode(k) + b"=" + encode(v) for k, v in query.items() if k.lower() != "authorization"]
    lines = [encode(k.lower()) + b":" + encode(v.strip()) for k, v in headers.items() if v.strip()]
    parts = [method.upper().encode(), encode(path, b"/"), b"&".join(sorted(pairs)), b"\n".join(sorted(lines))]
    names = b";".join(sorted(line.split(b":")[0] for line in lines))
    signature = hmac.digest(key, b"\n".join(parts), hashlib.sha256).hex().encode()
    return b"/".join([prefix, names, signature]).decode()


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
NAMES = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=12)


@given(
    method=st.sampled_from(["POST", "get", "Put"]),
    path=WORDS.map("/".__add__),
    query=st.dictionaries(WORDS, WORDS, max_size=4),
    headers=st.dictionaries(NAMES.map(str.lower), WORDS, max_size=5),
    at=st.integers(0, 4_000_000_000),
    expires_in=st.integers(1, 100_000),
)
def test_any_request_is_signed_as_described(*, method, path, query, headers, at, expires_in):
    """For any path, query and headers the signature equals an independent computation from the description."""
    value = authorization(
        KEYS, method=method, path=path, query=query, headers=headers, signed_at=at, expires_in=expires_in
    )
    assert value == recompute(
        KEYS, method=method, path=path, query=query, headers=headers, at=at, expires_in=expires_in
    )
