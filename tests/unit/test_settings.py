"""Every knob: read from the environment, checked at the start, told in words that an administrator can act on."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cloud.tls import certificate
from qianfan_operator import ca_bundle
from qianfan_operator.cloud.config import CloudSettings
from qianfan_operator.settings import CLOCK_TOLERANCE, LIST_LAG, SUGGESTED_LABEL, Settings, problems, table


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with none of our variables."""
    for name in (*(f"QIANFAN_{field.upper()}" for field in Settings.model_fields), *ca_bundle.VARIABLES):
        monkeypatch.delenv(name, raising=False)


LENT = {"QIANFAN_DEFAULT_CREDENTIALS_NAMESPACE": "pool"}
SELECTOR = "QIANFAN_DEFAULT_CREDENTIALS_SELECTOR"


def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """What the operator says before it ends."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    return "; ".join(problems(refused.value))


def test_the_defaults_contradict_nothing() -> None:
    """An operator without any setting starts, and its grace has room for the slowest create."""
    settings = Settings()
    slowest = settings.create_expiry_sec + settings.console_api_retry_timeout + CLOCK_TOLERANCE + LIST_LAG
    assert settings.create_grace_sec >= slowest


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of the vendor's SDK work as they do there; other variables of the SDK are none of ours."""
    monkeypatch.setenv("QIANFAN_CONSOLE_API_BASE_URL", "http://127.0.0.1:8866")
    monkeypatch.setenv("QIANFAN_ALLOW_INSECURE", "true")
    monkeypatch.setenv("QIANFAN_V2_ENABLED", "false")
    monkeypatch.setenv("QIANFAN_ACCESS_KEY", "not a setting")
    settings = Settings()
    assert (settings.console_api_base_url, settings.v2_enabled) == ("http://127.0.0.1:8866", False)
    assert "not a setting" not in repr(settings)


def test_what_the_settings_keep_to_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """No namespace pays for others unless somebody says so, and a proxy's password is not printed."""
    assert Settings().default_credentials_namespace == ""
    monkeypatch.setenv("QIANFAN_PROXY", "http://user:hidden@proxy")
    assert "hidden" not in repr(Settings())


@pytest.mark.parametrize("name", ["QIANFAN_PROXY", "QIANFAN_CONSOLE_API_BASE_URL"])
def test_a_refusal_does_not_show_an_address(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A password may be in it."""
    assert "hidden" not in refusal(monkeypatch, **{name: "ftp://user:hidden@host"})


def test_a_refusal_shows_the_value_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is, and whatever is in it."""
    words = refusal(monkeypatch, QIANFAN_WORKERS="many\n" * 1000)
    assert '(it is "many\\nmany' in words
    assert "\n" not in words
    assert len(words) < 300


def test_settings_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked at the start holds until the end."""
    with pytest.raises(ValidationError):
        Settings().workers = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"QIANFAN_CREATE_GRACE_SEC": "79"}, "QIANFAN_CREATE_GRACE_SEC must be at least 80"),
        ({"QIANFAN_CREATE_EXPIRY_SEC": "60"}, "QIANFAN_CREATE_GRACE_SEC must be at least 125"),
        ({"QIANFAN_CONSOLE_API_RETRY_TIMEOUT": "71"}, "QIANFAN_CREATE_GRACE_SEC must be at least 121"),
        ({"QIANFAN_CONSOLE_API_BASE_URL": "http://cloud"}, "QIANFAN_CONSOLE_API_BASE_URL begins with http://"),
        ({"QIANFAN_SSL_VERIFICATION_ENABLED": "false"}, "QIANFAN_SSL_VERIFICATION_ENABLED is false"),
        ({"QIANFAN_POLL_MIN_SEC": "61"}, "QIANFAN_POLL_MIN_SEC must not be above QIANFAN_POLL_MAX_SEC"),
        (LENT, "QIANFAN_DEFAULT_CREDENTIALS_SELECTOR must be set with QIANFAN_DEFAULT_CREDENTIALS_NAMESPACE"),
        ({**LENT, SELECTOR: " "}, "QIANFAN_DEFAULT_CREDENTIALS_SELECTOR must be set with"),
        ({**LENT, SELECTOR: "team=a,"}, "QIANFAN_DEFAULT_CREDENTIALS_SELECTOR: not a label selector"),
        ({**LENT, SELECTOR: "team in (a)\nx"}, "QIANFAN_DEFAULT_CREDENTIALS_SELECTOR: not a label selector"),
        ({**LENT, SELECTOR: "!restricted"}, "QIANFAN_DEFAULT_CREDENTIALS_SELECTOR must require a label"),
        ({**LENT, SELECTOR: "team!=a"}, "QIANFAN_DEFAULT_CREDENTIALS_SELECTOR must require a label"),
        ({**LENT, SELECTOR: "team notin (a)"}, "QIANFAN_DEFAULT_CREDENTIALS_SELECTOR must require a label"),
        (
            {**LENT, SELECTOR: "kubernetes.io/metadata.name"},
            "QIANFAN_DEFAULT_CREDENTIALS_SELECTOR must require a label",
        ),
    ],
    ids=str,
)
def test_contradictions_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    """Settings under which a create could be paid for twice, or that make no sense together, end the start."""
    words = refusal(monkeypatch, **variables)
    assert words.startswith(told)
    assert "\n" not in words


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QIANFAN_CONSOLE_API_BASE_URL", "qianfan.baidubce.com"),
        ("QIANFAN_CONSOLE_API_BASE_URL", "https://host/path"),
        ("QIANFAN_CONSOLE_API_BASE_URL", "HTTP://host"),
        ("QIANFAN_ALLOW_INSECURE", "perhaps"),
        ("QIANFAN_SHUTDOWN_SEC", "0"),
        ("QIANFAN_CREATE_EXPIRY_SEC", "61"),
        ("QIANFAN_CREATE_EXPIRY_SEC", "0"),
        ("QIANFAN_CREATE_GRACE_SEC", "inf"),
        ("QIANFAN_POLL_MAX_SEC", "nan"),
        ("QIANFAN_CREDENTIALS_WAIT_SEC", "-1"),
        ("QIANFAN_DEFAULT_CREDENTIALS_NAMESPACE", "Team/One"),
        ("QIANFAN_WORKERS", "3"),  # two namespaces would take them all
        ("QIANFAN_WORKERS", "many"),
        ("QIANFAN_HTTP_PORT", "65536"),
        ("QIANFAN_LEADER_ELECTION", "perhaps"),
        ("QIANFAN_LEASE_DURATION_SEC", "2"),
        ("QIANFAN_LEASE_DURATION_SEC", "301"),
        ("QIANFAN_ADOPT", "some"),
        ("QIANFAN_METRICS_AUTH", "basic"),
        ("QIANFAN_LOG_FORMAT", "xml"),
        ("QIANFAN_LOG_LEVEL", "TRACE"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """The line on stderr begins with the variable that must be changed."""
    words = refusal(monkeypatch, **{variable: value})
    assert words.startswith(f"{variable}: ")
    assert "\n" not in words


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to start the operator twice to learn of two mistakes."""
    words = refusal(monkeypatch, QIANFAN_WORKERS="0", QIANFAN_LOG_FORMAT="xml")
    assert "QIANFAN_WORKERS: " in words
    assert "; QIANFAN_LOG_FORMAT: " in words


def test_the_table_has_a_row_for_each_setting() -> None:
    """Each row gives the variable, its default and a sentence."""
    rows = table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [f"QIANFAN_{name.upper()}" for name in Settings.model_fields]
    assert all(row.endswith(". |") for row in rows)


def test_the_clients_own_defaults_are_ours() -> None:
    """Who uses the client without the operator gets the same cloud, patience and expiry."""
    ours, client = Settings(), CloudSettings()
    assert (client.base_url, client.read_timeout, client.create_expiry_seconds, client.sign_expiration_seconds) == (
        ours.console_api_base_url, ours.console_api_retry_timeout, ours.create_expiry_sec, ours.iam_sign_expiration_sec,
    )  # fmt: skip


def test_the_label_that_is_suggested_selects(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the message and the documents tell an administrator to write is accepted as it is."""
    monkeypatch.setenv("QIANFAN_DEFAULT_CREDENTIALS_NAMESPACE", "pool")
    monkeypatch.setenv(SELECTOR, SUGGESTED_LABEL)
    assert Settings().default_credentials_selector == SUGGESTED_LABEL


HOSTS = [
    ("", "must have a host name"),
    (":443", "must have a host name"),
    ("host:0", "a port from 1 to 65535"),
    ("host:65536", "a port from 1 to 65535"),
    ("host:port", "a port from 1 to 65535"),
    ("host:", "a port from 1 to 65535"),
    ("[::1", "must have the form"),
    ("[::g]", "must have"),
    ("1.2.3", "must have a host name or an IP address"),
    ("a..b", "must have a host name"),
    ("-a-.b", "must have a host name"),
    ("a" * 64, "must have a host name"),
    (".".join(["a" * 60] * 5), "must have a host name"),
    ("ho st", "without spaces"),
    ("höst", "ASCII"),
    ("host ", "must not begin or end with a space"),
    ("host\n", "must not begin or end with a space"),
    ("host/path", "must not have a path"),
    ("host?", "must not have a path, a query"),
    ("host#x", "must not have a path, a query or a fragment"),
]


@pytest.mark.parametrize("name", ["QIANFAN_CONSOLE_API_BASE_URL", "QIANFAN_PROXY"])
@pytest.mark.parametrize(("host", "told"), HOSTS)
def test_an_address_that_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, host: str, told: str
) -> None:
    """A call would fail by it, in other words or with a traceback; so the start does."""
    said = refusal(monkeypatch, **{name: f"https://{host}"})
    assert said.startswith(f"{name}: must")
    assert told in said


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("socks5://hidden@proxy", "SOCKS proxies are not supported"),
        ("socks5h://proxy:1080", "SOCKS proxies are not supported"),
        ("proxy:3128", "must begin with http:// or https://"),
        (" http://proxy", "must not begin or end with a space"),
        ("http://user:hid@den@proxy", "as %XX"),
        ("http://user:hid%zzden@proxy", "as %XX"),
        ("http://:hidden@proxy", "must have a user name"),
        ("http://@proxy", "must have a user name"),
        ("http://user:hidden%E5%AF%86@proxy", "Latin-1"),
    ],
)
def test_a_proxy_that_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: str, told: str) -> None:
    """The message says what to change and never holds the password."""
    said = refusal(monkeypatch, QIANFAN_PROXY=proxy)
    assert said.startswith("QIANFAN_PROXY: ")
    assert told in said
    assert "hid" not in said


@pytest.mark.parametrize(
    "proxy", ["", "http://u:p%40@proxy:3128", "https://10.0.0.1", "http://[::1]:3128/", "http://a_b."]
)
def test_a_proxy_that_can_work_is_taken(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """A name, an address, credentials, and a trailing slash are fine."""
    monkeypatch.setenv("QIANFAN_PROXY", proxy)
    assert Settings().proxy == proxy


@pytest.mark.parametrize(
    "field", ["POLL_MAX_SEC", "RESYNC_SEC", "SHUTDOWN_SEC", "CREDENTIALS_WAIT_SEC", "RETRY_MAX_SEC"]
)
def test_a_wait_that_no_clock_can_measure_is_refused(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """The system's own waits raise an error above some centuries."""
    assert f"QIANFAN_{field}: " in refusal(monkeypatch, **{f"QIANFAN_{field}": "1e300"})


@pytest.mark.parametrize("variable", ["QIANFAN_CA_BUNDLE", *ca_bundle.VARIABLES])
def test_a_bundle_is_taken_from_the_setting_or_the_usual_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """It is checked at the start, by the name of the variable; ours counts before the others."""
    good = str(certificate(tmp_path, "authority")[0])
    monkeypatch.setenv(variable, good)
    assert Settings().authorities == good
    said = refusal(monkeypatch, **{variable: str(tmp_path / "missing")})
    assert variable in said
    assert "cannot be read (no such file or directory)" in said
    if variable != "QIANFAN_CA_BUNDLE":
        monkeypatch.setenv("QIANFAN_CA_BUNDLE", good)
        assert Settings().authorities == good
