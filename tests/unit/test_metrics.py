"""The metrics that dashboards and alerts go by."""

import re

from prometheus_client.parser import text_string_to_metric_families

from qianfan_operator.telemetry import metrics


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_calls_and_passes_are_counted() -> None:
    """Each call of the cloud counts by operation and code, each pass by kind and result, with their durations."""
    calls = value("qianfan_cloud_requests_total", operation="createJob", code="OK")
    passes = value("qianfan_reconcile_total", kind="qianfanjobs", result="success")
    seconds = value("qianfan_cloud_request_duration_seconds_sum", operation="createJob")
    metrics.called("createJob", "OK", 0.25)
    metrics.passed("qianfanjobs", "success", 0.5)
    assert value("qianfan_cloud_requests_total", operation="createJob", code="OK") == calls + 1
    assert value("qianfan_reconcile_total", kind="qianfanjobs", result="success") == passes + 1
    assert value("qianfan_cloud_request_duration_seconds_sum", operation="createJob") == seconds + 0.25


def test_names_follow_the_conventions() -> None:
    """One prefix, lower case, a help sentence each, and no label that holds the name of an object."""
    families = list(text_string_to_metric_families(metrics.render().decode()))
    assert families
    for family in families:
        assert re.fullmatch(r"qianfan_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        labels = {label for sample in family.samples for label in sample.labels}
        assert labels <= {"kind", "result", "operation", "code", "lane", "cause", "version", "le"}
