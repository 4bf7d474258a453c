"""Why a connection failed, from what each library makes of it."""

import asyncio
import socket
import ssl

import aiohttp
import pytest
import urllib3

from qianfan_operator.network import LIMIT, address, cause, described, untrusted


def with_urllib3(url: str, proxy: str = "") -> BaseException:
    pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
    with pytest.raises(urllib3.exceptions.HTTPError) as caught:
        pool.request("GET", url, retries=False, timeout=5)
    return caught.value


def with_aiohttp(url: str, proxy: str | None = None) -> BaseException:
    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            await session.get(url, proxy=proxy)

    with pytest.raises(aiohttp.ClientError) as caught:
        asyncio.run(ask())
    return caught.value


@pytest.mark.parametrize("ask", [with_urllib3, with_aiohttp])
def test_both_clients_are_told_alike(ask) -> None:  # type: ignore[no-untyped-def]
    """The words are those of the system, whatever the library wraps them in."""
    assert described(ask("https://127.0.0.1:9/")).endswith("connection refused")
    assert "the host name cannot be resolved: " in described(ask("https://no.invalid/"))
    through = described(ask("https://no.invalid/", "http://127.0.0.1:9"))
    assert "the proxy failed: " in through
    assert through.endswith("connection refused")


def test_a_certificate_is_told_in_openssl_s_words() -> None:
    """It is found however deeply it is wrapped; an error of TLS of another kind is none of a certificate."""
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_message = "self-signed certificate"
    deep = OSError(urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.SSLError(error)))  # type: ignore[arg-type]
    assert untrusted(deep)
    assert described(deep) == "the certificate is not trusted: self-signed certificate"
    assert not untrusted(ssl.SSLError(1, "WRONG_VERSION_NUMBER"))


def test_circles_and_long_words_end() -> None:
    """An error that wraps itself, or that somebody else has filled, makes a short line."""
    circle = OSError()
    circle.args = (circle,)
    assert cause(circle) == "OSError"
    long = cause(OSError("x\n" * 10_000))
    assert len(long) <= LIMIT
    assert long.isprintable()
    assert cause(TimeoutError()) == "timed out"
    assert cause(socket.gaierror(-2, "Name or service not known")) == "name or service not known"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host/path", "host:443"),
        ("http://host", "host:80"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_an_address_has_a_host_and_a_port(url: str, shown: str) -> None:
    """Credentials are left out."""
    assert address(url) == shown
