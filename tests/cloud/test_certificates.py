"""Which certificates are trusted, and what is said of one that is not."""

import shutil
from pathlib import Path

import pytest

from cloud.tls import certificate, https
from qianfan_operator import ca_bundle
from qianfan_operator.cloud import operations
from qianfan_operator.cloud.client import Client
from qianfan_operator.cloud.errors import CloudError, Fate

OK = {"log_id": "1", "result": {"total": 0, "items": []}}


@pytest.fixture
def known(make_transport, server):
    """Make a transport that knows the cloud's time, so that it can sign a paid create."""

    def make(**settings: object):
        transport = make_transport(**settings)
        plain = make_transport()
        server.tell_time(Client(plain))
        transport.cloud_clock = plain.cloud_clock
        return transport

    return make


def create(transport) -> CloudError:
    with pytest.raises(CloudError) as caught:
        transport.prepare(operations.CREATE_JOB, {}, lambda result: result).send()
    return caught.value


def test_a_private_authority_is_trusted_if_it_is_named(make_transport, server, tmp_path: Path):
    """The bundle of the setting is trusted, and read anew by every new connection."""
    first, second = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    bundle = tmp_path / "bundle"
    shutil.copy(first[0], bundle)
    for made, key in (first, second):
        shutil.copy(made, bundle)
        with https(server.handler(), made, key) as url:
            transport = make_transport(base_url=url, ca_bundle=str(bundle))
            server.answers(OK, OK)
            assert Client(transport).user_models() == ()
            transport.close()
            assert Client(transport).user_models() == ()


def test_a_renewed_bundle_needs_no_restart(make_transport, server, tmp_path: Path):
    """One client goes on with the authority that its file holds by then."""
    first, second = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    bundle = tmp_path / "bundle"
    shutil.copy(second[0], bundle)
    with https(server.handler(), *first) as url:
        transport = make_transport(base_url=url, ca_bundle=str(bundle))
        with pytest.raises(CloudError, match="CertificateUntrusted"):
            Client(transport).user_models()
        shutil.copy(first[0], bundle)
        server.answers(OK)
        assert Client(transport).user_models() == ()


@pytest.mark.parametrize("bundle", ["", "other"])
def test_an_untrusted_certificate_proves_that_nothing_was_sent(known, server, tmp_path: Path, bundle: str):
    """OpenSSL's words are told with the address and the remedy; a paid create was refused, and is no open question."""
    made, key = certificate(tmp_path, "cloud")
    other = str(certificate(tmp_path, "other")[0]) if bundle else ""
    with https(server.handler(), made, key) as url:
        error = create(known(base_url=url, ca_bundle=other))
    assert (error.code, error.refused, error.fate) == ("CertificateUntrusted", True, Fate.RETRY)
    assert error.untrusted
    assert f"The certificate of {url.removeprefix('https://')} is not trusted: self-signed certificate" in str(error)
    assert "QIANFAN_CA_BUNDLE" in str(error)
    assert server.seen == []


def test_a_name_that_does_not_fit_is_told(known, server, tmp_path: Path):
    """A certificate of another host is not trusted, and OpenSSL says so."""
    made, key = certificate(tmp_path, "cloud")
    with https(server.handler(), made, key) as url:
        error = create(known(base_url=url.replace("127.0.0.1", "localhost"), ca_bundle=str(made)))
    assert (error.code, error.refused) == ("CertificateUntrusted", True)
    assert "Hostname mismatch" in error.message
    assert server.seen == []


BROKEN = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "half": lambda path: path.write_text(path.read_text()[:300]),
    "text": lambda path: path.write_text("no certificate"),
    "binary": lambda path: path.write_bytes(b"\0\xff" * 99),
    "directory": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("breaks", BROKEN.values(), ids=BROKEN)
def test_a_bundle_that_breaks_later_sends_nothing(known, server, tmp_path: Path, breaks):
    """While the file cannot be used, calls are refused with its path; when it can again, they go on."""
    made, key = certificate(tmp_path, "cloud")
    bundle = tmp_path / "bundle"
    shutil.copy(made, bundle)
    with https(server.handler(), made, key) as url:
        transport = known(base_url=url, ca_bundle=str(bundle))
        breaks(bundle)
        error = create(transport)
        assert (error.code, error.refused, error.fate) == ("CaBundleUnusable", True, Fate.RETRY)
        assert error.untrusted
        assert str(bundle)[:40] in error.message
        if bundle.is_dir():
            bundle.rmdir()
        shutil.copy(made, bundle)
        server.answers(OK)
        assert Client(transport).user_models() == ()


@pytest.mark.parametrize("breaks", BROKEN.values(), ids=BROKEN)
def test_what_is_no_bundle_is_refused(tmp_path: Path, breaks):
    """A bundle must exist, be readable and hold a certificate."""
    bundle = certificate(tmp_path, "cloud")[0]
    ca_bundle.check(str(bundle))
    breaks(bundle)
    with pytest.raises(ValueError, match=r"names? a file"):
        ca_bundle.check(str(bundle))


def test_the_usual_variables_count_in_their_order():
    """An empty variable is none."""
    both = {"SSL_CERT_FILE": "c", "CURL_CA_BUNDLE": "b"}
    assert ca_bundle.of_environment({}) is None
    assert ca_bundle.of_environment({**both, "REQUESTS_CA_BUNDLE": ""}) == ("CURL_CA_BUNDLE", "b")
    assert ca_bundle.of_environment({**both, "REQUESTS_CA_BUNDLE": "a"}) == ("REQUESTS_CA_BUNDLE", "a")


@pytest.mark.parametrize(
    "word", ["CertificateUntrusted", "ConnectionRefused", "StaleRequest", "HTTP 429", "SwitchedOff"]
)
@pytest.mark.parametrize("form", ["code", "error_code", "X-Bce-Error-Code"])
def test_the_cloud_cannot_say_our_words(known, server, word: str, form: str):
    """A reply that names one of our own proofs that nothing was sent proves nothing."""
    transport = known()
    if form.startswith("X-"):
        server.script.append(server.reply("", 400, {form: word}))
    else:
        server.answers({form: word, "log_id": "1"})
    error = create(transport)
    assert (error.refused, error.untrusted, error.fate) == (False, False, Fate.UNKNOWN)
