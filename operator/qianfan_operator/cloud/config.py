"""The configuration of the client: plain values, independent of the operator's settings."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from qianfan_operator.cloud.clock import MAX_CORRECTION_SECONDS


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """Where the cloud is, how long to wait for it, and how long a signature lives. Times are in seconds.

    Raises ValueError for a base URL that is not `http(s)://host[:port]` (a trailing slash is forgiven).
    """

    base_url: str = "https://qianfan.baidubce.com"
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    """The longest silence that is borne, and the longest time that a reply's body may take."""
    sign_expiration_seconds: int = 300
    """Of reads; the default of the vendor's SDK."""
    create_expiry_seconds: int = 15
    """Of all that changes something; the fence against what arrives late, or twice: see docs/never-pay-twice.md."""
    proxy: str | None = field(default=None, repr=False)
    """A proxy URL, which may hold a password; proxy variables of the environment are never looked at."""
    verify_tls: bool = True
    ca_bundle: str = ""
    """A file with the certificate authorities to trust in place of the built-in ones; "" for those."""
    unverified_correction_seconds: float = MAX_CORRECTION_SECONDS
    """How far from the wall clock the cloud's `Date` is believed where nothing proves that the cloud sent it."""
    user_agent: str = "qianfan-operator"
    """Sent as `User-Agent` and as `request-source`, the header by which the vendor's SDK names itself.

    See docs/design/wire.md#base-url-and-headers.
    """
    use_v2: bool = True
    """False: a V2 call is answered here, as if the cloud did not offer V2."""

    def __post_init__(self) -> None:
        url = urlsplit(self.base_url)
        if url.scheme not in {"http", "https"} or not url.hostname or "@" in url.netloc:
            raise ValueError("the base URL must be `http://host[:port]` or `https://host[:port]`, without credentials")
        if url.path.strip("/") or url.query or url.fragment:
            raise ValueError("the base URL may not have a path, a query or a fragment")

    @property
    def insecure(self) -> tuple[str, ...]:
        """Why anybody on the way can read and change what is said, in closed words; empty if nobody can."""
        return insecurities(self.base_url, verify_tls=self.verify_tls)

    @property
    def clock_limit(self) -> float | None:
        """How far from the wall clock the cloud's `Date` is believed; None where it is proven to be the cloud's."""
        return self.unverified_correction_seconds if self.insecure else None

    @property
    def origin(self) -> str:
        """Scheme and host, without a trailing slash: what a path is appended to."""
        url = urlsplit(self.base_url)
        return f"{url.scheme}://{url.netloc}"

    @property
    def host(self) -> str:
        """The `Host` header, port included, exactly as it is signed and sent.

        See docs/design/wire.md#signature.
        """
        return urlsplit(self.base_url).netloc


PLAIN, UNVERIFIED = INSECURITIES = ("http", "unverified")
"""The reasons for which a transport is not secure: it is not encrypted, or the certificate is not checked."""


def insecurities(base_url: str, *, verify_tls: bool) -> tuple[str, ...]:
    """Name what keeps a transport from being secure; loopback is no exception, for a proxy may lead out of it."""
    if urlsplit(base_url).scheme != "https":
        return (PLAIN,)
    return () if verify_tls else (UNVERIFIED,)
