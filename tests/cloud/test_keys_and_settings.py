"""Keys do not leak, and a base URL means one thing only."""

import copy
import dataclasses
import pickle

import pytest

from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.config import CloudSettings

KEYS = AccessKey("ALTAKexample00000000", "very-secret")


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{:>60}".format, "%s".__mod__, lambda keys: f"{[keys]}"])
def test_a_key_pair_does_not_show(show):
    """No way of turning a pair into text shows either key."""
    assert "ALTAK" not in show(KEYS)
    assert "very-secret" not in show(KEYS)


@pytest.mark.parametrize("carry", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_pair_does_not_travel(carry):
    """A pair can be neither pickled nor copied, so that it does not end up in somebody's cache."""
    with pytest.raises(TypeError):
        carry(KEYS)


def test_the_account_is_stable_and_short():
    """The account is 8 hex digits that depend on the access key id alone."""
    assert KEYS.account == AccessKey(KEYS.access_key, "another").account
    assert KEYS.account != AccessKey("ALTAKother", "very-secret").account
    assert len(KEYS.account) == 8
    assert int(KEYS.account, 16) >= 0


def test_texts_of_the_cloud_are_redacted():
    """Keys and signatures that the cloud quotes back are taken out."""
    text = KEYS.redact("no ALTAKexample00000000 with very-secret in bce-auth-v1/x/y/z/host/abc here")
    assert text == "no *** with *** in *** here"


@pytest.mark.parametrize(("access", "secret"), [("", "s"), ("a", "")])
def test_an_empty_key_is_refused(access, secret):
    """Half a pair is a mistake that is told at once, not by the cloud."""
    with pytest.raises(ValueError, match="must both be given"):
        AccessKey(access, secret)


@pytest.mark.parametrize(
    ("base_url", "origin", "host"),
    [
        ("https://qianfan.baidubce.com", "https://qianfan.baidubce.com", "qianfan.baidubce.com"),
        ("https://qianfan.baidubce.com/", "https://qianfan.baidubce.com", "qianfan.baidubce.com"),
        ("http://127.0.0.1:8866//", "http://127.0.0.1:8866", "127.0.0.1:8866"),
        ("http://[::1]:80", "http://[::1]:80", "[::1]:80"),
    ],
)
def test_a_base_url_is_taken_apart(base_url, origin, host):
    """A trailing slash does not become a double one, and the host keeps its port."""
    settings = CloudSettings(base_url=base_url)
    assert (settings.origin, settings.host) == (origin, host)


@pytest.mark.parametrize(
    "base_url", ["qianfan.baidubce.com", "ftp://a", "https://", "https://a/b", "https://u:p@a", "https://a?b=c", ""]
)
def test_other_base_urls_are_refused(base_url):
    """What is not scheme, host and port is refused, since it could not be signed as it is sent."""
    with pytest.raises(ValueError, match="base URL"):
        CloudSettings(base_url=base_url)


def test_a_proxys_password_does_not_show():
    """The proxy, which may hold a password, is not part of the settings' text."""
    settings = dataclasses.replace(CloudSettings(), proxy="http://user:hidden@proxy")
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("settings", "insecure", "limit"),
    [
        ({}, (), None),
        ({"proxy": "http://proxy:3128"}, (), None),
        ({"verify_tls": False}, ("unverified",), 60.0),
        ({"base_url": "http://127.0.0.1:1"}, ("http",), 60.0),
        ({"base_url": "http://[::1]:1", "verify_tls": False}, ("http",), 60.0),
    ],
)
def test_what_makes_a_transport_insecure(settings, insecure, limit):
    """No TLS, or TLS with anybody; a proxy that is spoken to in plain text passes TLS on untouched."""
    ours = CloudSettings(**settings)
    assert (ours.insecure, ours.clock_limit) == (insecure, limit)
