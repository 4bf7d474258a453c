"""Variables that look like settings and are none."""

from qianfan_operator.environment import SDK, told, unknown
from qianfan_operator.settings import NAMES

LINKS = {
    f"{prefix}_{name}": value
    for prefix in ("QIANFAN_OPERATOR", "QIANFAN")
    for name, value in {
        "SERVICE_HOST": "10.0.0.1", "SERVICE_PORT": "8080", "SERVICE_PORT_METRICS": "8080",
        "PORT": "tcp://10.0.0.1:8080", "PORT_8080_TCP": "tcp://10.0.0.1:8080", "PORT_8080_TCP_PROTO": "tcp",
        "PORT_8080_TCP_PORT": "8080", "PORT_8080_TCP_ADDR": "10.0.0.1",
    }.items()
}  # fmt: skip


def test_a_misspelt_setting_is_named_with_the_nearest_one() -> None:
    """Its value is never told."""
    names = unknown({"QIANFAN_WORKRES": "5", "QIANFAN_XYZ": "secret", "PATH": "x"}, NAMES)
    assert told(names, NAMES) == "QIANFAN_WORKRES (did you mean QIANFAN_WORKERS?), QIANFAN_XYZ"


def test_settings_in_any_case_are_known() -> None:
    """The settings are read in any case, so they are known in any case."""
    assert unknown({**dict.fromkeys(NAMES, "x"), "qianfan_workers": "5"}, NAMES) == []


def test_what_the_vendors_sdk_reads_is_left_alone() -> None:
    """An environment may serve both."""
    assert unknown({f"QIANFAN_{name}": "x" for name in SDK}, NAMES) == []
    assert {"ACCESS_KEY", "DEPLOY_STATUS_POLLING_INTERVAL", "CONSOLE_API_RETRY_MAX_WAIT_INTERVAL"} <= SDK


def test_what_kubernetes_makes_for_a_service_is_left_alone() -> None:
    """Only if there is that Service: its host is always among the variables."""
    assert unknown(LINKS, NAMES) == []
    alone = {"QIANFAN_HEALTH_PORT": "8080", "QIANFAN_OPERATOR_SERVICE_PORT": "8080"}
    assert unknown(alone, NAMES) == sorted(alone)


def test_many_names_are_bounded_and_clean() -> None:
    """Whatever the environment holds, the warning is one short line."""
    line = told(unknown({f"QIANFAN_{number}\n{'x' * 500}": "" for number in range(1000)}, NAMES), NAMES)
    assert line.endswith("and 990 more")
    assert line.isprintable()
    assert len(line) < 1000
