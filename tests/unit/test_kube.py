"""What is read of a Secret."""

import base64

import pytest

from qianfan_operator.kube import decode_secret


def encoded(**data: bytes) -> dict[str, object]:
    return {"data": {name: base64.b64encode(value).decode() for name, value in data.items()}}


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        pytest.param(encoded(QIANFAN_ACCESS_KEY=b"a", QIANFAN_SECRET_KEY=b"s\n"), ("a", "s"), id="a trailing newline"),
        pytest.param(encoded(QIANFAN_ACCESS_KEY=b" \r\n", QIANFAN_SECRET_KEY=b"s"), ("", "s"), id="only white space"),
        pytest.param(encoded(QIANFAN_ACCESS_KEY=b"", QIANFAN_SECRET_KEY=b"s"), (None, "s"), id="an empty value"),
        pytest.param(encoded(QIANFAN_ACCESS_KEY=b"\xff", QIANFAN_SECRET_KEY=b"s"), ("\ufffd", "s"), id="binary"),
        pytest.param(encoded(QIANFAN_SECRET_KEY=b"s", note=b"\xff"), (None, "s"), id="other keys"),
        pytest.param({"data": None}, (None, None), id="no data"),
        pytest.param({}, (None, None), id="nothing"),
    ],
)
def test_a_secret_is_read_as_far_as_it_is_needed(raw: dict[str, object], read: tuple[str | None, str | None]) -> None:
    """White space around a key is no part of it, bytes that are no text fail nothing, and the rest is left alone."""
    secret = decode_secret(raw)
    assert (secret.get("QIANFAN_ACCESS_KEY"), secret.get("QIANFAN_SECRET_KEY")) == read
    assert set(secret) <= {"QIANFAN_ACCESS_KEY", "QIANFAN_SECRET_KEY"}
