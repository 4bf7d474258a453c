"""The three styles in which the cloud says no are all understood, and a proxy's answer is not taken for the cloud's."""

import json

import pytest

from qianfan_operator.cloud.errors import OWN_CODES, CloudError, Fate
from qianfan_operator.cloud.replies import Answer, read_reply
from qianfan_operator.retry_after import RETRY_AFTER_LIMIT

IAM_UNKNOWN_KEY = "NotFound, cause: Could not find credential."
IAM_BAD_SIGNATURE = "SignatureDoesNotMatch, cause: Fail to authn user: Signature does not match"


def read(status=200, body=b"", headers=None, operation="jobDetail", redact=str):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_reply(operation, Answer.decode(status, headers or {}, raw), redact)


def failure(*args, **kwargs) -> CloudError:
    with pytest.raises(CloudError) as caught:
        read(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize("log_id", ["2291960321", 2291960321])
def test_a_v1_success(log_id):
    """A V1 success gives its result and its log id, be that a string or an integer."""
    reply = read(body={"log_id": log_id, "result": {"id": 1}})
    assert reply.result == {"id": 1}
    assert reply.request_id == "2291960321"


def test_a_v2_success():
    """A V2 success gives its result, which may be false, and its request id."""
    reply = read(body={"requestId": "r-1", "result": False})
    assert reply.result is False
    assert reply.request_id == "r-1"


@pytest.mark.parametrize("code", [510301, "510301"])
def test_a_v1_error_comes_with_http_200(code):
    """An `error_code` is an error although the status is 200, be it a number or a string."""
    error = failure(body={"error_code": code, "error_msg": "job not exist", "log_id": 7})
    assert (error.code, error.message, error.request_id) == ("510301", "job not exist", "7")
    assert error.fate is Fate.GONE


@pytest.mark.parametrize("code", [0, None, {}])
def test_the_key_alone_makes_an_error(code):
    """The presence of `error_code` is the test: a zero, a null or an object is no success."""
    error = failure(body={"error_code": code, "result": {"id": 1}}, operation="createJob")
    assert error.fate is Fate.UNKNOWN


@pytest.mark.parametrize("status", [400, 403, 200])
def test_a_v2_error_has_a_word(status):
    """A V2 error is recognised by its `code`, with an error status and, without a result, also with 200."""
    error = failure(status, {"requestId": "r", "code": "AccessDenied", "message": "Access denied."})
    assert (error.code, error.message, error.request_id) == ("AccessDenied", "Access denied.", "r")


def test_a_result_with_a_field_called_code_is_a_success():
    """HTTP 200 with a result is a success, whatever else lies beside it."""
    assert read(body={"requestId": "r", "code": "Anything", "result": True}).result is True


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-Bce-Error-Message": IAM_UNKNOWN_KEY}, "InvalidAccessKeyId"),
        ({"X-Bce-Error-Message": IAM_BAD_SIGNATURE}, "SignatureDoesNotMatch"),
        ({"X-Bce-Error-Code": "NotFound", "X-Bce-Error-Message": IAM_UNKNOWN_KEY}, "InvalidAccessKeyId"),
        ({"X-Bce-Error-Code": "RequestExpired", "X-Bce-Error-Message": "too old"}, "RequestExpired"),
        ({"X-Bce-Error-Message": "RequestExpired, cause: too old"}, "RequestExpired"),
        ({"X-Bce-Error-Message": "you may not"}, "AccessDenied"),
    ],
)
def test_iam_speaks_through_headers(headers, code):
    """An IAM refusal is understood with an empty body, with and without a code of its own."""
    error = failure(403, headers=headers)
    assert error.code == code
    assert error.refused


def test_iam_may_speak_through_a_body():
    """The two known texts mean bad keys also in a V2 body, whatever code stands beside them."""
    error = failure(403, {"requestId": "r", "code": "NotFound", "message": IAM_UNKNOWN_KEY})
    assert error.code == "InvalidAccessKeyId"
    assert error.reason.value == "CredentialsInvalid"


SPELLINGS = ("{}", "{} ", " {}", "\u00a0{}", "{}\u3000", "\t{}\n", "\x1c{}")
OWN_WORDS = (*sorted(OWN_CODES), "HTTP 429", "HTTP  429", "HTTP\t429", "HTTP\u00a0429", "HTTP\n429")


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("word", OWN_WORDS)
def test_nobody_else_says_our_words(word, spelling):
    """Our words for what happened on the way may prove that nothing was sent, so a reply with one proves nothing."""
    code = spelling.format(word)
    for error in (
        failure(200, {"error_code": code, "error_msg": "x", "log_id": 1}, operation="createJob"),
        failure(400, {"code": code, "message": "x", "requestId": "r"}, operation="createJob"),
        failure(400, headers={"x-bce-error-code": code}, operation="createJob"),
        failure(400, headers={"x-bce-error-code": code, "x-bce-error-message": "m"}, operation="createJob"),
    ):
        assert error.code == f"reply:{' '.join(code.split())}"
        assert not error.refused
        assert error.fate is Fate.UNKNOWN


@pytest.mark.parametrize("status", [400, 403, 408, 421])
@pytest.mark.parametrize("word", sorted(OWN_CODES))
def test_a_message_without_a_code_does_not_say_our_words(status, word):
    """The word before the cause is the cloud's, too."""
    error = failure(status, headers={"x-bce-error-message": f"{word}, cause: upstream"}, operation="createJob")
    assert error.code == f"reply:{word}"
    assert error.fate is Fate.UNKNOWN


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, {"error_code": 500000, "error_msg": "internal error: upstream said SignatureDoesNotMatch"}, {}),
        (200, {"error_code": 500000, "error_msg": IAM_BAD_SIGNATURE}, {}),
        (200, {"error_code": None, "error_msg": IAM_BAD_SIGNATURE}, {}),
        (400, {"requestId": "r", "code": "BackendError", "message": IAM_BAD_SIGNATURE}, {}),
        (400, {"requestId": "r", "code": "NotFound", "message": "the store: Could not find credential"}, {}),
        (400, b"", {"X-Bce-Error-Code": "BackendError", "X-Bce-Error-Message": IAM_UNKNOWN_KEY}),
        (400, b"", {"X-Bce-Error-Message": "the store said SignatureDoesNotMatch"}),
        (403, b"", {"X-Bce-Error-Message": "AccessDenied by the store, cause: SignatureDoesNotMatch"}),
    ],
)
def test_a_message_that_quotes_iam_is_not_iams(status, body, headers):
    """The texts of IAM mean bad keys only where IAM writes them: a layer behind it may quote another call's."""
    error = failure(status, body, headers, operation="createJob")
    assert not error.refused
    assert error.fate is Fate.UNKNOWN


@pytest.mark.parametrize("code", [3, 6, "6", 100, "500001", "AccessDenied", "InvalidURI"])
def test_a_body_that_is_not_the_clouds_refuses_no_create(code):
    """Who is on the way may have passed the request on; and gRPC's 6 is not the cloud's, though it is spelt alike."""
    error = failure(409, {"code": code, "message": "there already"}, operation="createJob")
    assert error.code == f"reply:{code}"
    assert error.fate is Fate.UNKNOWN


def test_a_number_of_v1_counts_only_where_v1_says_it():
    """V2 and IAM have words; a number in their place is of a table that nobody knows."""
    assert not failure(400, {"code": 6, "message": "m", "requestId": "r"}, operation="createJob").refused
    assert failure(200, {"error_code": 6, "error_msg": "m"}, operation="createJob").refused
    assert failure(403, {"code": "AccessDenied", "message": "m", "requestId": "r"}, operation="createJob").refused


@pytest.mark.parametrize("status", [301, 302, 404, 408, 500, 502, 504])
def test_a_proxys_answer_is_known_by_its_status(status):
    """HTML of somebody on the way is named by its status and proves nothing about a create."""
    error = failure(status, b"<html>Bad gateway</html>", operation="createJob")
    assert error.code == f"HTTP {status}"
    assert error.fate is Fate.UNKNOWN


def test_an_answer_without_a_code_may_be_the_clouds():
    """The cloud's own gateway may answer so, too: nobody is told that it was another."""
    error = failure(503, b"<html>Service unavailable</html>")
    assert error.words == "The cloud, or a proxy before it, answered without a Qianfan error code. (HTTP 503)"


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"[]", b"null", b"{", b'{"a": ' + b"[" * 100_000, b"\xff"])
def test_a_success_that_is_no_object_is_a_bad_reply(body):
    """HTTP 200 with anything but a JSON object is unreadable, hence unknown for a create."""
    error = failure(200, body, operation="createJob")
    assert error.code == "BadReply"
    assert error.fate is Fate.UNKNOWN


def test_an_error_code_in_a_500_is_not_believed():
    """A server that breaks while it answers proves nothing, even if its body has a business code."""
    error = failure(500, {"error_code": 500001, "error_msg": "param invalid"}, operation="createJob")
    assert error.code == "500001"
    assert not error.refused


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("999999", RETRY_AFTER_LIMIT), ("-1", None), ("Fri", None)])
def test_retry_after_is_carried(header, seconds):
    """The wait that the cloud asks for is kept, within bounds."""
    assert failure(429, headers={"Retry-After": header}).retry_after == seconds


def test_texts_are_redacted():
    """Whatever the cloud writes goes through the redaction before it becomes part of an error."""
    error = failure(
        400,
        {"requestId": "id-hidden", "code": "C-hidden", "message": "the hidden one"},
        redact=lambda text: text.replace("hidden", "***"),
    )
    assert "hidden" not in f"{error} {error.code} {error.message} {error.request_id}"


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, b'{"log_id": "1", "result": 1}', True),
        ({}, b'{"requestId": "1", "code": "X"}', True),
        ({"X-Bce-Error-Message": "no"}, b"", True),
        ({}, b"<html></html>", False),
        ({}, b'{"message": "rate limited by the gateway"}', False),
    ],
)
def test_the_clouds_own_answers_are_told_apart(headers, body, expected):
    """Only what carries the cloud's own marks may set the clock."""
    assert Answer.decode(200, headers, body).is_the_clouds is expected
