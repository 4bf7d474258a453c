"""Variables of the environment that look like settings and are not: most of them are misspelt.

Not named are those of the vendor's SDK, which one environment may well hold beside ours, and those that Kubernetes
makes for every Service of the namespace whose name begins with `qianfan`.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from qianfan_operator.text import clean

PREFIX: Final = "QIANFAN_"
_NAMED: Final = 10  # names in one warning

_POLLING: Final = ("IMPORT", "EXPORT", "RELEASE", "ETL", "TRAIN", "MODEL_PUBLISH", "BATCH_RUN", "DEPLOY")
_RETRY: Final = ("COUNT", "TIMEOUT", "BACKOFF_FACTOR", "JITTER", "MAX_WAIT_INTERVAL", "ERR_CODES")
SDK: Final = frozenset(
    {
        *("ACCESS_CODE", "ACCESS_KEY", "ACCESS_TOKEN", "ACCESS_TOKEN_REFRESH_MIN_INTERVAL", "AK", "APPID"),
        *("AUTH_TIMEOUT", "BASE_URL", "BEARER_TOKEN", "BEARER_TOKEN_EXPIRATION_INTERVAL", "BOS_HOST_REGION"),
        *("CHAT_V2_API_ROUTE", "CONSOLE_API_BASE_URL", "DISABLE_EB_SDK", "DISABLE_ERNIE_BOT_SDK"),
        *("DOT_ENV_CONFIG_FILE", "ENABLE_PRIVATE", "ENABLE_STRESS_TEST", "EVALUATION_ONLINE_POLLING_INTERVAL"),
        *("EXPORT_FILE_SIZE_LIMIT", "FILE_ENCODING", "GET_ENTITY_CONTENT_FAILED_RETRY_TIMES"),
        *("IAM_SIGN_EXPIRATION_SEC", "NO_AUTH", "PRIVATE_ACCESS_CODE", "PROXY", "QPS_LIMIT", "RPM_LIMIT"),
        *("SECRET_KEY", "SK", "SSL_VERIFICATION_ENABLED", "TPM_LIMIT"),
        *("TRAINER_STATUS_POLLING_BACKOFF_FACTOR", "TRAINER_STATUS_POLLING_RETRY_TIMES"),
        *(f"{what}_STATUS_POLLING_INTERVAL" for what in _POLLING),
        *(f"{api}_API_RETRY_{what}" for api in ("LLM", "CONSOLE") for what in _RETRY),
    }
)
"""What the vendor's SDK reads, without the prefix."""

_HOST: Final = "_SERVICE_HOST"
_OF_A_SERVICE: Final = re.compile(
    r"_SERVICE_HOST|_SERVICE_PORT(_.+)?|_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
)
"""How the names end that Kubernetes makes for a Service, after the Service's own."""


def unknown(environment: Mapping[str, str], settings: Collection[str]) -> list[str]:
    """Return the variables with our prefix that nobody reads; `settings` are the names of ours, with the prefix."""
    names = sorted(name for name in environment if name.upper().startswith(PREFIX))
    return [name for name in names if name.upper() not in settings and not _is_of_others(name, environment)]


def told(unknown: Iterable[str], settings: Collection[str]) -> str:
    """Name the variables, each with the nearest setting; values are never shown, as they may be keys."""
    names = list(unknown)
    shown = [_with_nearest(name, settings) for name in names[:_NAMED]]
    if len(names) > _NAMED:
        shown.append(f"and {len(names) - _NAMED} more")
    return ", ".join(shown)


def _is_of_others(name: str, environment: Mapping[str, str]) -> bool:
    if name.upper().removeprefix(PREFIX) in SDK:
        return True
    services = (other.removesuffix(_HOST) for other in environment if other.endswith(_HOST))
    return any(name.startswith(one) and _OF_A_SERVICE.fullmatch(name.removeprefix(one)) for one in services)


def _with_nearest(name: str, settings: Collection[str]) -> str:
    words = [setting.removeprefix(PREFIX) for setting in sorted(settings)]
    nearest = difflib.get_close_matches(name.upper().removeprefix(PREFIX), words, n=1, cutoff=0.7)
    return clean(name, 80) + (f" (did you mean {PREFIX}{nearest[0]}?)" if nearest else "")
