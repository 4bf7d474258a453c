"""Every error carries the right fate, and nothing unproven counts as refused."""

import itertools

import pytest

from qianfan_operator.api.reasons import Reason
from qianfan_operator.cloud.errors import (
    CODE_LIMIT,
    CREATES,
    MESSAGE_LIMIT,
    NAME_EXISTS,
    ClockUnknown,
    CloudError,
    ErrorClass,
    Fate,
    NotSent,
    StaleRequest,
    SwitchedOff,
)

V1_READS = ("jobDetail", "modelDetail", "modelVersionDetail", "serviceDetail", "serviceList", "userList")
V2 = ("DescribeFineTuningJobs", "DescribeFineTuningTask", "ModifyService", "DeactivateService")
OPERATIONS = (*sorted(CREATES), *V1_READS, "stopJob", "modelBatchDelete", *V2)

REFUSALS = (
    *("500001", "510101", "510102", "510202", "510203", "510301", "510302", "510401", "510402", "510403", "510404"),
    *("10001", "21002", "70128", "70130", "70131", "4", "17", "18", "19", "HTTP 429", "14", "110", "111", "6", "100"),
    *("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidHTTPAuthHeader", "RequestExpired"),
    *("InappropriateJSON", "MalformedJSON", "ConnectionRefused", "NameResolution", "ConnectTimeout"),
    *("CertificateUntrusted", "CaBundleUnusable"),
)
NO_REFUSALS = (
    *("500000", "1", "2", "13", "336000", "336001", "336003", "336100", "336501", "1000", "70002", "70114", "70115"),
    *("Timeout", "ConnectionLost", "BadReply", "ReplyTooLarge", "ProxyFailed", "TLSFailed", "HTTP 302", "HTTP 404"),
    *("HTTP 500", "HTTP 502", "HTTP 504", "HTTP 408", "InternalError", "0", "987654", "SomethingNew", ""),
)


@pytest.mark.parametrize("operation", sorted(CREATES))
@pytest.mark.parametrize("code", REFUSALS)
def test_what_proves_a_refusal_ends_an_intent(operation, code):
    """A documented refusal of a create proves that nothing was made, so its fate is never Unknown."""
    error = CloudError(operation, code)
    assert error.refused
    assert error.fate is not Fate.UNKNOWN


@pytest.mark.parametrize("operation", sorted(CREATES))
@pytest.mark.parametrize("code", NO_REFUSALS)
def test_what_proves_nothing_leaves_an_intent_open(operation, code):
    """Everything else after a create means: look, before anything is repeated."""
    error = CloudError(operation, code)
    assert not error.refused
    assert error.fate is Fate.UNKNOWN
    assert error.reason is Reason.CREATE_OUTCOME_UNKNOWN


def test_unknown_is_for_creates_that_are_not_refused():
    """Unknown is exactly a create without proof, and a 5xx is never proof, whatever its body says."""
    codes = (*REFUSALS, *NO_REFUSALS, "500002", "510201", "70101", "70118", "SwitchedOff")
    for operation, code, status in itertools.product(OPERATIONS, codes, (None, 200, 400, 403, 500, 503)):
        error = CloudError(operation, code, http_status=status)
        assert (error.fate is Fate.UNKNOWN) == (operation in CREATES and not error.refused), (operation, code, status)
        assert not (error.refused and (status or 0) >= 500), (operation, code, status)
        assert not (error.unsupported and operation not in V2), (operation, code, status)


@pytest.mark.parametrize(("operation", "code"), sorted(NAME_EXISTS))
def test_a_taken_name_means_look(operation, code):
    """A name that exists may be ours from a lost reply, so it neither ends the intent nor stalls by itself."""
    error = CloudError(operation, code, http_status=200)
    assert error.exists
    assert not error.refused
    assert error.fate is Fate.UNKNOWN
    assert not CloudError("jobDetail", code).exists


@pytest.mark.parametrize(
    ("operation", "code", "fate", "reason"),
    [
        ("jobDetail", "500002", Fate.RETRY, Reason.CLOUD_UNAVAILABLE),
        ("createTask", "500002", Fate.STALL, Reason.ACCESS_DENIED),
        ("createJob", "500002", Fate.UNKNOWN, Reason.CREATE_OUTCOME_UNKNOWN),
        ("jobDetail", "AccessDenied", Fate.STALL, Reason.ACCESS_DENIED),
        ("jobDetail", "SignatureDoesNotMatch", Fate.STALL, Reason.CREDENTIALS_INVALID),
        ("DescribeFineTuningJobs", "SignatureDoesNotMatch", Fate.STALL, Reason.CREDENTIALS_INVALID),
        ("DescribeFineTuningJobs", "InvalidAccessKeyId", Fate.STALL, Reason.CREDENTIALS_INVALID),
        ("jobDetail", "510301", Fate.GONE, Reason.GONE),
        ("modelDetail", "10001", Fate.GONE, Reason.GONE),
        ("publishTrainModel", "10001", Fate.STALL, Reason.REFUSED),
        ("createJob", "510401", Fate.STALL, Reason.REFUSED),
        ("createJob", "510402", Fate.WAIT, Reason.QUOTA_EXCEEDED),
        ("createJob", "510403", Fate.STALL, Reason.QUOTA_EXCEEDED),
        ("createTask", "510203", Fate.STALL, Reason.TASK_LIMIT_REACHED),
        ("createTask", "510201", Fate.UNKNOWN, Reason.NAME_TAKEN),
        ("publishTrainModel", "70101", Fate.UNKNOWN, Reason.NAME_TAKEN),
        ("publishTrainModel", "70118", Fate.UNKNOWN, Reason.CREATE_OUTCOME_UNKNOWN),
        ("jobDetail", "18", Fate.WAIT, Reason.THROTTLED),
        ("createJob", "18", Fate.WAIT, Reason.THROTTLED),
        ("jobDetail", "336501", Fate.WAIT, Reason.THROTTLED),
        ("DescribeFineTuningJobs", "RequestLimitExceeded", Fate.WAIT, Reason.THROTTLED),
        ("createJob", "RequestLimitExceeded", Fate.UNKNOWN, Reason.CREATE_OUTCOME_UNKNOWN),
        ("CreateService", "InstanceLimitExceeded", Fate.RETRY, Reason.CLOUD_UNAVAILABLE),
        ("jobDetail", "Timeout", Fate.RETRY, Reason.CLOUD_UNAVAILABLE),
        ("jobDetail", "NeverHeardOf", Fate.RETRY, Reason.CLOUD_UNAVAILABLE),
        ("createJob", "RequestExpired", Fate.RETRY, Reason.CLOUD_UNAVAILABLE),
        ("ModifyService", "AccessDenied", Fate.STALL, Reason.UPDATE_UNSUPPORTED),
        ("DeactivateService", "HTTP 404", Fate.STALL, Reason.DELETION_BLOCKED),
    ],
)
def test_codes_have_their_fate(operation, code, fate, reason):
    """The same code means different things for a read and for a create, and the table knows."""
    error = CloudError(operation, code)
    assert (error.fate, error.reason) == (fate, reason)


@pytest.mark.parametrize("code", ["AccessDenied", "HTTP 404", "InvalidURI", "InvalidVersion", "OptInRequired"])
def test_a_closed_v2_is_recognised(code):
    """Where V2 is not offered or not opened to the account, the error says so; the same words of V1 do not."""
    assert CloudError("DescribeFineTuningJobs", code).unsupported
    assert not CloudError("jobDetail", code).unsupported


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestExpired", "HTTP 502", "18"])
def test_bad_keys_and_bad_weather_are_not_a_closed_v2(code):
    """Wrong keys, limits and outages say nothing about whether V2 is offered."""
    assert not CloudError("DescribeFineTuningJobs", code).unsupported


@pytest.mark.parametrize("kind", [ClockUnknown, StaleRequest])
def test_what_was_not_sent_is_refused(kind):
    """What never left the process happened nowhere, and is tried again."""
    error = kind("createJob")
    assert isinstance(error, NotSent)
    assert error.refused
    assert error.fate is Fate.RETRY


def test_a_switched_off_v2_is_unsupported():
    """The setting reads like a cloud without V2."""
    error = SwitchedOff("DescribeFineTuningJobs")
    assert error.unsupported
    assert error.refused


def test_texts_of_the_cloud_are_tamed():
    """Messages and codes are one line of bounded length, so that a status can hold them."""
    error = CloudError("jobDetail", "x" * 500, "a\nb\tc\x00" + "好" * 1000, request_id="r\n" * 300)
    assert len(error.code) == CODE_LIMIT
    assert len(error.message) == MESSAGE_LIMIT
    assert error.message.startswith("a b c\\x00好")
    assert "\n" not in str(error)
    assert "\n" not in error.request_id
    assert str(CloudError("stopJob", "510302", "job status invalid")) == "stopJob: job status invalid (510302)"


@pytest.mark.parametrize("code", ["4", "17", "18", "19", "HTTP 429", "336501", "336502", "RequestLimitExceeded",
                                  "QPSLimitExceeded", "RateLimit", "TooManyRequests"])  # fmt: skip
@pytest.mark.parametrize("operation", ["jobDetail", "createTask", "createJob", "DescribeFineTuningJobs"])
def test_a_limit_of_rates_is_throttling_whatever_was_asked(operation, code):
    """Who asks too often is told so by every call; of a paid create it may still not be known what came of it."""
    error = CloudError(operation, code)
    assert error.throttled
    assert error.error_class in {ErrorClass.THROTTLED, ErrorClass.AMBIGUOUS}
    assert (error.error_class is ErrorClass.AMBIGUOUS) == (error.fate is Fate.UNKNOWN)


@pytest.mark.parametrize("code", ["510203", "510402", "510403", "QuotaLimitExceeded", "InstanceLimit", "336100"])
def test_a_limit_of_what_there_may_be_is_no_throttling(code):
    """A quota, or a run that has to end first, is another matter than how often the cloud is asked."""
    error = CloudError("createJob", code)
    assert not error.throttled
    assert error.error_class is not ErrorClass.THROTTLED


def test_a_429_is_throttling_whatever_its_body_says():
    """A code that nobody knows does not hide the status."""
    assert CloudError("jobDetail", "NeverHeardOf", http_status=429).throttled
