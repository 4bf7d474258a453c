"""All settings, read from environment variables; run as a module, it prints the table for the README.

Names that the vendor's SDK has keep their names. Contradictions are refused at the start.

See docs/design/wire.md#environment-variables.
"""

import os
import sys
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from qianfan_operator import ca_bundle, urls
from qianfan_operator.environment import PREFIX
from qianfan_operator.selector import Selector
from qianfan_operator.text import clean

LIST_LAG = 30.0  # seconds that the cloud's lists are believed to lag at most
SUGGESTED_LABEL = "qianfan.dev/default-credentials=allowed"
CLOCK_TOLERANCE = 5.0  # seconds by which the corrected clock may be off
_NAME_LABEL = "kubernetes.io/metadata.name"  # the API server puts it on every namespace
_MAY_HOLD_SECRETS = frozenset({"proxy", "console_api_base_url"})  # a user may write a password into a URL
_VALUE_LIMIT = 80  # characters of a value that is refused
_YEAR = 366 * 86400.0  # seconds; nobody waits longer, and the clocks of the system cannot


def _address(value: str) -> str:
    urls.check(value)
    return value


def _proxy(value: str) -> str:
    if value:
        urls.check(value, credentials=True)
    return value


def _bundle(value: str) -> str:
    if value:
        ca_bundle.check(value)
    return value


Seconds = Annotated[float, Field(gt=0, le=_YEAR)]


class Settings(BaseSettings):
    """The settings; each field is the environment variable of the same name in capitals with `QIANFAN_` in front."""

    model_config = SettingsConfigDict(env_prefix="QIANFAN_", frozen=True, extra="ignore", allow_inf_nan=False)

    console_api_base_url: Annotated[str, AfterValidator(_address)] = Field(
        "https://qianfan.baidubce.com", description="Scheme and host of the cloud's console API."
    )
    console_api_retry_timeout: Seconds = Field(
        30.0,
        description="Seconds that one call may take to be answered (the SDK's name for it). A call is never repeated.",
    )
    iam_sign_expiration_sec: PositiveInt = Field(
        300, le=int(_YEAR), description="Seconds that the signature of a read is valid."
    )
    proxy: Annotated[str, AfterValidator(_proxy)] = Field(
        "",
        repr=False,
        description="HTTP proxy for the cloud's API, such as `http://proxy:3128`; the only one: `HTTPS_PROXY` and the"
        " like are ignored.",
    )
    ca_bundle: Annotated[str, AfterValidator(_bundle)] = Field(
        "",
        description="File with the certificate authorities (PEM) to trust for the cloud, or for a proxy that opens TLS,"
        " in place of the built-in ones. Default: the file of `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE` or"
        " `SSL_CERT_FILE`, in this order.",
    )
    ssl_verification_enabled: bool = Field(
        True, description="Verify the cloud's certificate; `false` needs `QIANFAN_ALLOW_INSECURE`."
    )
    allow_insecure: bool = Field(
        False,
        description="Accept a cloud at `http://`, or one whose certificate is not verified, such as the simulator.",
    )
    v2_enabled: bool = Field(
        True, description="Use the cloud's V2 calls, without which lost replies cannot be looked up."
    )
    create_expiry_sec: PositiveInt = Field(
        15,
        le=60,
        description="Seconds that the signature of a change is valid: what arrives later is refused by the cloud.",
    )
    create_grace_sec: Seconds = Field(
        120.0, description="Seconds before a look-up may conclude that a create did not arrive."
    )
    credentials_wait_sec: float = Field(
        120.0,
        ge=0,
        le=_YEAR,
        description="Seconds that a missing Secret may take to appear before the object is Stalled.",
    )
    default_credentials_namespace: str = Field(
        "",
        pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$",
        description="Namespace whose Secret `qianfan-credentials` serves the namespaces that have none and that "
        "`QIANFAN_DEFAULT_CREDENTIALS_SELECTOR` selects; default: off.",
    )
    default_credentials_selector: str = Field(
        "",
        description="Label selector of the namespaces that may use the default credentials, such as "
        "`qianfan.dev/default-credentials=allowed`; must be set where these are.",
    )
    adopt: Literal["", "none", "own-mark", "any"] = Field(
        "",
        description="What objects may take over or use by its id in the cloud: `none`; `own-mark`, what an object of "
        "the same namespace made; `any`. Default: `own-mark` under default credentials, else `any`.",
    )
    cluster_id: str = Field(
        "",
        description="What stands for this cluster in names and marks; default: the uid of the kube-system namespace.",
    )
    poll_min_sec: Seconds = Field(10.0, description="Seconds between the first looks at what works in the cloud.")
    poll_max_sec: Seconds = Field(60.0, description="Seconds between later looks.")
    resync_sec: Seconds = Field(600.0, description="Seconds between looks at what is settled.")
    probe_sec: Seconds = Field(300.0, description="Seconds between tries of what waits for a person.")
    retry_max_sec: Seconds = Field(300.0, description="Longest wait in seconds between tries after failures.")
    leader_election: bool = Field(
        True, description="Act only while holding the Lease `qianfan-operator`; without it never run two replicas."
    )
    lease_duration_sec: int = Field(
        15, ge=3, le=300, description="Seconds after which another replica takes over from one that died."
    )
    workers: PositiveInt = Field(
        16,
        ge=4,
        le=256,
        description="Maximum number of concurrent reconciles; one namespace, and one access key, uses at most half of "
        "them.",
    )
    informer_check_sec: Seconds = Field(
        20.0, description="Seconds between two lists that are compared with what the watch has brought."
    )
    informer_patience_sec: Seconds = Field(
        60.0,
        description="Seconds for which the watch may miss an object before `/healthz` fails, and for which the API "
        "server may refuse the operator's credentials before the process ends.",
    )
    shutdown_sec: Seconds = Field(
        50.0,
        description="Maximum time for a graceful shutdown, in seconds; then the ids that are not saved yet are logged. "
        "Keep it some seconds below the pod's `terminationGracePeriodSeconds`.",
    )
    http_port: int = Field(
        8080, ge=0, le=65535, description="Port of `/healthz`, `/readyz` and `/metrics`; 0 takes a free one."
    )
    metrics_auth: Literal["none", "tokenreview"] = Field(
        "none",
        description="Who may get `/metrics`: `none`, everybody who reaches the port; `tokenreview`, whom the API "
        "server knows by a bearer token and allows to `get` the path.",
    )
    log_format: Literal["json", "text"] = Field("json", description="`json` or `text`.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="`DEBUG`, `INFO`, `WARNING` or `ERROR`."
    )

    @model_validator(mode="after")
    def _secure(self) -> "Settings":
        way = "or set QIANFAN_ALLOW_INSECURE=true for tests only"
        if self.allow_insecure:
            return self
        if not self.console_api_base_url.startswith("https://"):
            raise ValueError(
                "QIANFAN_CONSOLE_API_BASE_URL begins with http://: traffic can be read and changed by others. "
                f"Use https://, {way}"
            )
        if not self.ssl_verification_enabled:
            raise ValueError(
                "QIANFAN_SSL_VERIFICATION_ENABLED is false: traffic can be read and changed by others. "
                f"Set it to true, {way}"
            )
        return self

    @model_validator(mode="after")
    def _readable_authorities(self) -> "Settings":
        if not self.ca_bundle and (found := ca_bundle.of_environment(os.environ)):
            name, path = found
            try:
                ca_bundle.check(path)
            except ValueError as error:
                raise ValueError(f"{name} {error}. Correct it, or set {PREFIX}CA_BUNDLE") from None
        return self

    @property
    def authorities(self) -> str:
        """The file with the certificate authorities to trust; "" for the built-in ones."""
        return self.ca_bundle or (ca_bundle.of_environment(os.environ) or ("", ""))[1]

    @model_validator(mode="after")
    def _no_contradictions(self) -> "Settings":
        least = self.create_expiry_sec + self.console_api_retry_timeout + CLOCK_TOLERANCE + LIST_LAG
        if self.create_grace_sec < least:
            raise ValueError(
                f"QIANFAN_CREATE_GRACE_SEC must be at least {least:g}: QIANFAN_CREATE_EXPIRY_SEC + "
                f"QIANFAN_CONSOLE_API_RETRY_TIMEOUT + {CLOCK_TOLERANCE:g} for clocks + {LIST_LAG:g} for lists that lag"
            )
        if self.poll_min_sec > self.poll_max_sec:
            raise ValueError("QIANFAN_POLL_MIN_SEC must not be above QIANFAN_POLL_MAX_SEC")
        return self

    @model_validator(mode="after")
    def _default_credentials_only_by_label(self) -> "Settings":
        name, text = "QIANFAN_DEFAULT_CREDENTIALS_SELECTOR", self.default_credentials_selector.strip()
        if not text:
            if self.default_credentials_namespace:
                raise ValueError(
                    f"{name} must be set with QIANFAN_DEFAULT_CREDENTIALS_NAMESPACE. Label the namespaces that may"
                    f" use these keys, and set it to that label, such as {SUGGESTED_LABEL}"
                )
            return self
        try:
            selector = Selector.parse(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if selector.matches({}) or selector.matches({_NAME_LABEL: "any"}):
            raise ValueError(
                f"{name} must require a label. This selector also matches namespaces that nobody has labelled"
            )
        return self


NAMES = frozenset(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)
"""The variables that are settings."""


def problems(error: ValidationError) -> list[str]:
    """Say what to change in the environment, a sentence for each variable, with its value if that is no secret."""
    parts = []
    for problem in error.errors():
        where = "".join(f"{PREFIX}{part}".upper() for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        shown = isinstance(problem["input"], str) and not _MAY_HOLD_SECRETS.intersection(problem["loc"])
        value = f' (it is "{clean(problem["input"], _VALUE_LIMIT)}")' if shown else ""
        parts.append(f"{where}: {message}{value}" if where else message)
    return parts


def table() -> str:
    """Render the settings as a Markdown table."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = f"`{field.default}`" if field.default != "" else ""
        rows.append(f"| `QIANFAN_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
