"""Prometheus metrics; no label holds an object's name."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds

RECONCILES = Counter(
    "qianfan_reconcile_total",
    "Reconciles by kind and result (success, error, conflict).",
    ["kind", "result"],
    registry=REGISTRY,
)
RECONCILE_SECONDS = Histogram(
    "qianfan_reconcile_duration_seconds", "Duration of a reconcile.", ["kind"], buckets=BUCKETS, registry=REGISTRY
)
CLOUD_REQUESTS = Counter(
    "qianfan_cloud_requests_total", "Calls to the cloud by operation and code (OK or an error code).",
    ["operation", "code"], registry=REGISTRY,
)  # fmt: skip
CLOUD_SECONDS = Histogram(
    "qianfan_cloud_request_duration_seconds", "Duration of a call to the cloud.", ["operation"], buckets=BUCKETS,
    registry=REGISTRY,
)  # fmt: skip
QUEUE_DEPTH = Gauge(
    "qianfan_queue_depth", "Keys that are due and wait for a worker, by lane.", ["lane"], registry=REGISTRY
)
ACTIVE = Gauge("qianfan_reconcile_active_workers", "Reconciles that are under way.", registry=REGISTRY)
OBJECTS = Gauge("qianfan_objects", "Objects that the operator knows.", registry=REGISTRY)
UNREADABLE = Gauge(
    "qianfan_unreadable_objects",
    "Objects and Secrets of which something cannot be read, by kind; the log and an event name them.",
    ["kind"],
    registry=REGISTRY,
)
UNWRITTEN = Gauge("qianfan_unwritten_ids", "Created things whose ids are not in a status yet.", registry=REGISTRY)
LEADER = Gauge("qianfan_leader", "1 in the process that acts, 0 in one that stands by.", registry=REGISTRY)
LAST_EVENT = Gauge(
    "qianfan_last_watch_event_timestamp_seconds", "Unix time of the last event of the watch.", registry=REGISTRY
)
INFORMER_AGE = Gauge(
    "qianfan_informer_age_seconds",
    "Seconds since the watch of a kind brought something; a bookmark comes once a minute at least.",
    ["kind"],
    registry=REGISTRY,
)
MISSED = Gauge(
    "qianfan_informer_missed_objects",
    "Objects that a list has shown, or no longer shows, and the watch has not brought; some seconds of it are usual.",
    ["kind"],
    registry=REGISTRY,
)
INSECURE = Gauge(
    "qianfan_insecure_transport",
    "1 for each reason for which others can read and change what is said with the cloud (http, unverified), else 0.",
    ["cause"], registry=REGISTRY,
)  # fmt: skip
KEY_CHECKS = Counter(
    "qianfan_credentials_checks_total",
    "Checks of changed Secrets by result (valid, refused, unknown: the cloud did not tell).",
    ["result"],
    registry=REGISTRY,
)
REFUSED_SECRETS = Gauge(
    "qianfan_refused_credentials", "Secrets in use whose keys the cloud refused last; the log names them.",
    registry=REGISTRY,
)  # fmt: skip
BUILD = Gauge("qianfan_build_info", "1, with the version of the operator.", ["version"], registry=REGISTRY)


def called(operation: str, code: str, seconds: float) -> None:
    """Count a call to the cloud; both words are of closed sets (`cloud.endpoints`, `cloud.errors.counted`)."""
    CLOUD_REQUESTS.labels(operation, code).inc()
    CLOUD_SECONDS.labels(operation).observe(seconds)


def passed(kind: str, result: str, seconds: float) -> None:
    """Count a reconcile."""
    RECONCILES.labels(kind, result).inc()
    RECONCILE_SECONDS.labels(kind).observe(seconds)


def render() -> bytes:
    """Render all metrics in the text format."""
    return generate_latest(REGISTRY)
