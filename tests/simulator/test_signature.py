"""Every rule of bce-auth-v1, on the official vectors and over HTTP.

See docs/design/wire.md#signature.
"""

from collections.abc import Mapping
from itertools import permutations

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from qianfan_simulator import Key, Simulator
from qianfan_simulator.errors import IamError
from qianfan_simulator.signature import check, claimed_key
from simulator.conftest import NOON
from simulator.console import Console, signature, stamp

AK, SK = "ALTAK" + "example00000000", "0123456789abcdef0123456789abcdef"
VECTOR_A = "88e53443949da02deafb3befd86d08c8ccfd1a49ef8ef6e8a199d44ec320d524"
VECTOR_B = "e3e44864b9d24971c036464eac04db440096f6684da2229d32dde0aed3d7ac5f"
VECTOR_C = "65feb7f04b0b08fef88f48b0106bf195b4f113a25a44706c6ef5666ba4094fb3"
STAMP = "2024-03-01T08:00:00Z"
TARGET = "/wenxinworkshop/finetune/createTask"
HEADERS = {"Host": "qianfan.baidubce.com", "x-bce-date": STAMP}


def verify(
    headers: Mapping[str, str], authorization: str, target: str = TARGET, now: float = NOON, method: str = "POST"
) -> str:
    """Check one request against the vectors' key pair."""
    return check(
        method=method,
        target=target,
        headers=requests.structures.CaseInsensitiveDict({**headers, "Authorization": authorization}),
        secret_of={AK: SK}.get,
        clocks=(now,),
        tolerance=300,
    )


def sign(headers: Mapping[str, str], signed: list[str], target: str = TARGET, **changes: object) -> str:
    """An Authorization value of the vectors' key pair."""
    given = {"method": "POST", "access_key": AK, "secret_key": SK, "timestamp": STAMP, **changes}
    return signature(target=target, headers=headers, signed=signed, **given)  # type: ignore[arg-type]


def refused(code: str, *args: object, **more: object) -> None:
    """The request must be refused with this code."""
    with pytest.raises(IamError) as caught:
        verify(*args, **more)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_vector_a() -> None:
    """The official signature over host and x-bce-date is right."""
    assert verify(HEADERS, f"bce-auth-v1/{AK}/{STAMP}/1800/host;x-bce-date/{VECTOR_A}") == AK


@pytest.mark.parametrize("order", list(permutations(["content-type", "host", "request-source", "x-bce-date"])))
def test_vector_b_in_any_order_of_signed_headers(order: tuple[str, ...]) -> None:
    """The Python SDK lists the names in arbitrary order; the signature is the same."""
    headers = {**HEADERS, "Content-Type": "application/json", "request-source": "qianfan_py_sdk_v0.4.12.3"}
    value = f"bce-auth-v1/{AK}/{STAMP}/300/{';'.join(order)}/{VECTOR_B}"
    assert verify(headers, value, "/v2/finetuning?Action=DescribeFineTuningTask") == AK


def test_vector_c_with_a_port() -> None:
    """The port is part of the signed host, its colon encoded."""
    headers = {"Host": "127.0.0.1:8866", "x-bce-date": STAMP}
    value = f"bce-auth-v1/{AK}/{STAMP}/1800/host;x-bce-date/{VECTOR_C}"
    assert verify(headers, value, "/wenxinworkshop/service/list") == AK


def test_empty_signed_headers_mean_the_default_set() -> None:
    """Without names, host, content-* and every x-bce-* header are signed."""
    headers = {**HEADERS, "Content-Type": "application/json", "Content-Length": "2", "User-Agent": "x"}
    value = sign(headers, [])
    assert "//" in value
    assert verify(headers, value) == AK
    refused("SignatureDoesNotMatch", {**headers, "Content-Length": "3"}, value)
    assert verify({**headers, "User-Agent": "y"}, value) == AK


def test_the_date_header_is_optional() -> None:
    """A request that signs only the host is accepted."""
    headers = {"Host": "qianfan.baidubce.com"}
    assert verify(headers, sign(headers, ["host"])) == AK


def test_an_unlisted_date_header_may_be_signed_or_not() -> None:
    """Some signers add x-bce-* headers that they do not list, others do not: both are honest."""
    listed_only = sign({"Host": HEADERS["Host"]}, ["host"])
    assert verify(HEADERS, listed_only) == AK
    both = sign(HEADERS, ["host", "x-bce-date"]).replace("host;x-bce-date", "host")
    assert verify(HEADERS, both) == AK


def test_the_date_header_may_differ_from_the_timestamp() -> None:
    """The vendor's own examples differ by minutes."""
    headers = {**HEADERS, "x-bce-date": "2024-03-01T08:05:00Z"}
    assert verify(headers, sign(headers, ["host", "x-bce-date"])) == AK


def test_names_in_signed_headers_compare_without_case() -> None:
    """A signer that lists `Host` means the host."""
    value = sign(HEADERS, ["host", "x-bce-date"]).replace("host;x-bce-date", "Host;X-Bce-Date")
    assert verify(HEADERS, value) == AK


def test_an_empty_header_is_left_out() -> None:
    """A signed header without a value is no line of the canonical request."""
    value = sign(HEADERS, ["host", "x-bce-date"]).replace("host;x-bce-date", "content-type;host;x-bce-date")
    assert verify({**HEADERS, "Content-Type": " "}, value) == AK


def test_the_host_must_be_signed() -> None:
    """A signature that does not cover the host could be replayed elsewhere."""
    refused("InvalidHTTPAuthHeader", HEADERS, sign(HEADERS, ["x-bce-date"]))


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("target", "/wenxinworkshop/finetune/createJob"),
        ("target", TARGET + "?a=1"),
        ("method", "GET"),
        ("headers", {**HEADERS, "Host": "elsewhere.example"}),
        ("headers", {**HEADERS, "x-bce-date": "2024-03-01T08:00:01Z"}),
    ],
)
def test_what_was_signed_may_not_change(change: str, value: object) -> None:
    """A tampered path, query, method, host or signed header does not match."""
    given = {"headers": HEADERS, "authorization": sign(HEADERS, ["host", "x-bce-date"]), change: value}
    refused("SignatureDoesNotMatch", **given)


def test_the_query_is_signed_sorted_and_encoded() -> None:
    """The order of the query does not matter, its values do; `authorization` is left out."""
    value = sign(HEADERS, ["host"], "/v2/model?Action=DescribeModel&b=a%2Fb%20c")
    assert verify(HEADERS, value, "/v2/model?b=a%2fb%20c&Action=DescribeModel&authorization=x") == AK
    refused("SignatureDoesNotMatch", HEADERS, value, "/v2/model?b=a%2fb%20d&Action=DescribeModel")


def test_a_doubled_slash_is_signed_as_one() -> None:
    """Old SDKs send two slashes after a base URL with a trailing one, and sign one.

    See docs/design/wire.md#sdk-quirks.
    """
    assert verify(HEADERS, sign(HEADERS, ["host"]), "/" + TARGET) == AK


def test_validity_ends_with_the_period() -> None:
    """The last second of the period is valid, the one after is not."""
    value = sign(HEADERS, ["host"], expiration=15)
    assert verify(HEADERS, value, now=NOON + 15) == AK
    refused("RequestExpired", HEADERS, value, now=NOON + 15.5)


def test_the_future_is_tolerated_to_a_bound() -> None:
    """A clock that is ahead by the tolerance is served, one further ahead is not."""
    value = sign(HEADERS, ["host"])
    assert verify(HEADERS, value, now=NOON - 300) == AK
    refused("RequestExpired", HEADERS, value, now=NOON - 301)


def test_an_unknown_key_and_a_wrong_secret_have_their_messages() -> None:
    """The two messages are the ones that the SDK compares with, letter by letter."""
    with pytest.raises(IamError) as unknown:
        verify(HEADERS, sign(HEADERS, ["host"], access_key="nobody"))
    assert unknown.value.message == "NotFound, cause: Could not find credential."
    with pytest.raises(IamError) as wrong:
        verify(HEADERS, sign(HEADERS, ["host"], secret_key="wrong"))
    assert wrong.value.message == "SignatureDoesNotMatch, cause: Fail to authn user: Signature does not match"


@pytest.mark.parametrize(
    "value",
    [
        "Bearer abc",
        "bce-auth-v1/a/b",
        f"bce-auth-v2/{AK}/{STAMP}/1800/host/{VECTOR_A}",
        f"bce-auth-v1/{AK}/2024-03-01 08:00:00/1800/host/{VECTOR_A}",
        f"bce-auth-v1/{AK}/2024-13-01T08:00:00Z/1800/host/{VECTOR_A}",
        f"bce-auth-v1/{AK}/{STAMP}/-1/host/{VECTOR_A}",
        f"bce-auth-v1/{AK}/{STAMP}/1800/host/{VECTOR_A[:-1]}",
    ],
)
def test_a_malformed_authorization_is_refused(value: str) -> None:
    """Six well-formed parts, or nothing."""
    refused("InvalidHTTPAuthHeader", HEADERS, value)


def test_no_authorization_is_denied() -> None:
    """A request without a signature is nobody's."""
    refused("AccessDenied", HEADERS, "")


@given(st.text(max_size=80))
def test_garbage_in_authorization_never_crashes(text: str) -> None:
    """Whatever stands there, the answer is an IAM error."""
    with pytest.raises(IamError):
        verify(HEADERS, text)
    claimed_key(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20), st.text(max_size=20))
def test_any_query_that_is_signed_is_accepted(key: str, value: str) -> None:
    """Encoding is the same on both sides for every query."""
    if key and key.lower() != "authorization":
        target = requests.Request("POST", "http://h/v2/model", params={key: value}).prepare().path_url
        plain = target.replace("+", "%20")
        assert verify(HEADERS, sign(HEADERS, ["host"], plain), plain) == AK


def test_iam_errors_over_http(sim: Simulator, console: Console) -> None:
    """An IAM failure is non-2xx, in two headers and in a JSON body, and nothing is executed."""
    reply = Console(sim, secret_key="wrong", session=console.session).send("createTask", {"name": "abc"})
    assert reply.status_code == 403
    assert reply.headers["X-Bce-Error-Code"] == reply.json()["code"] == "SignatureDoesNotMatch"
    assert reply.headers["X-Bce-Error-Message"] == reply.json()["message"]
    assert reply.json()["requestId"]
    assert not list(sim.account().tasks)
    assert sim.calls[-1].outcome == "SignatureDoesNotMatch"


def test_the_date_of_every_reply_is_the_simulators(sim: Simulator, console: Console) -> None:
    """A client can correct its clock by any reply."""
    sim.advance(3600)
    assert console.send("userList").headers["Date"] == "Fri, 01 Mar 2024 09:00:00 GMT"
    assert stamp(sim.clock.now()) == "2024-03-01T09:00:00Z"


def test_keys_open_their_accounts_and_can_be_taken_away(sim: Simulator, console: Console) -> None:
    """Two keys of one account see the same things, another account does not, and a removed key opens nothing."""
    console.ok("createTask", name="abc")
    second = Console(sim, "demo-access-key-2", "demo-secret-key-2", console.session)
    other = Console(sim, "other-access-key", "other-secret-key", console.session)
    assert second.code("createTask", name="abc") == 510201
    other.ok("createTask", name="abc")
    sim.keys["new"] = Key("new", "secret", "other")
    assert Console(sim, "new", "secret", console.session).code("createTask", name="abc") == 510201
    del sim.keys["new"]
    assert Console(sim, "new", "secret", console.session).code("createTask", name="abc") == "InvalidAccessKeyId"
