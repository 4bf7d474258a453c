"""What goes wrong on the way to the cloud is told without keys and signatures, whatever is printed of it."""

from traceback import TracebackException

import pytest

from qianfan_operator.cloud import operations
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.errors import CloudError
from qianfan_operator.telemetry.redacted import RedactedDict

ENDPOINTS = [operations.JOB_DETAIL, operations.CREATE_JOB]


def everything(error: BaseException) -> str:
    """Print an error as the most talkative tool does: with its causes, and with the variables of every frame below."""
    assert error.__traceback__
    below = error.__traceback__.tb_next  # this module's own frame knows the keys
    printed = TracebackException(type(error), error, below, capture_locals=True)
    return "".join(printed.format()) + repr(vars(error))


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.operation)
@pytest.mark.parametrize("trouble", ["refused", "hang up", "no json", "cut", "proxy"])
def test_no_trouble_shows_a_key_or_a_signature(trouble, endpoint, server, make_transport, keys):
    """Not in the text of the error, not in its causes, not in a variable of any frame."""
    changes = {
        "refused": {"base_url": "http://127.0.0.1:9"},
        "proxy": {"proxy": "http://user:hidden-password@127.0.0.1:9"},
    }.get(trouble, {})
    transport = make_transport(**changes)
    server.script += {
        "hang up": [server.hang_up],
        "no json": [server.reply("no json")],
        "cut": [server.reply("{", length=9)],
    }.get(trouble, [])
    with pytest.raises(CloudError) as caught:
        transport.call(endpoint, {"taskId": 1}, lambda result: result)
    shown = everything(caught.value)
    assert "deliver" in shown
    assert not [word for word in (keys.access_key, keys.secret_key, "bce-auth-v1", "hidden-password") if word in shown]


def test_a_key_that_cannot_stand_in_a_header_is_refused_unshown():
    """A pair with a line break in it never reaches the HTTP library, whose complaint would quote the header."""
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        AccessKey("ALTAKexample", "two\nlines")
    assert "lines" not in str(caught.value)


def test_sealed_texts_tell_their_names_alone():
    """Printed, nested or formatted, a value stays inside; compared and read it is a dict."""
    sealed = RedactedDict(Authorization="signature")
    assert f"{sealed} {sealed!r} {[sealed]} %s" % sealed == " ".join(["Sealed(Authorization)"] * 2 + [
        "[Sealed(Authorization)]", "Sealed(Authorization)",
    ])  # fmt: skip
    assert sealed == {"Authorization": "signature"}
