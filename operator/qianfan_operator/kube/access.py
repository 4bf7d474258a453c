"""The address, token and certificates of the API server: one source for all clients.

The token and the certificates are files that others renew in place. They are read again by time and after a refusal, so
that neither a late token nor a new certificate authority leaves anything behind. Thread-safe.

The API server is reached directly, unless the kubeconfig names a `proxy-url`. Proxy variables of the environment are
ignored: the kubernetes client would follow them and the informer's session would not.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import urllib3
from kubernetes import client as kubernetes
from kubernetes import config
from kubernetes.config import ConfigException, kube_config

from qianfan_operator import urls

__all__ = ["FRESH", "Access", "ConfigException", "Login"]

log = logging.getLogger(__name__)

FRESH = 60.0  # seconds for which what was read is good
_REST = 1.0  # seconds between two reads while refusals last


@dataclass(frozen=True)
class Login:
    """What the files said when they were read."""

    server: str
    headers: Mapping[str, str] = field(repr=False)
    trust: ssl.SSLContext = field(repr=False)
    proxy: str | None = field(default=None, repr=False)
    """The URL of a proxy, which may hold a password."""
    server_name: str | None = None
    """The name that the certificate must have, if it is not that of the server."""

    @property
    def unverified(self) -> bool:
        """Whether the certificate of the API server is not checked."""
        return self.trust.verify_mode is ssl.CERT_NONE


class Access:
    """Reads as the pod does, else as kubectl does (`KUBECONFIG`)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigException if neither works."""
        self._clock, self._lock = clock, threading.Lock()
        self._tls = b""
        self._login = self._made(_load())
        self._read_at = clock()

    def login(self) -> Login:
        """Say how to connect now; what was read too long ago is read again."""
        with self._lock:
            if self._clock() - self._read_at >= FRESH:
                self._read()
            return self._login

    def refused(self) -> None:
        """Read again, after the API server did not take what was said or its certificate could not be trusted."""
        with self._lock:
            if self._clock() - self._read_at >= _REST:
                self._read()

    def configuration(self) -> kubernetes.Configuration:
        """Make a configuration for the kubernetes client that stays current."""
        configuration = _load()
        configuration.refresh_api_key_hook = self._refresh  # type: ignore[assignment]  # as its own loaders do
        return configuration

    def _refresh(self, configuration: kubernetes.Configuration) -> None:
        if token := self.login().headers.get("Authorization"):
            configuration.api_key["BearerToken"] = token

    def _read(self) -> None:
        self._read_at = self._clock()
        try:
            self._login = self._made(_load())
        except Exception as error:  # half a file, or none, while it is replaced; of many kinds
            words = {"error": f"{type(error).__name__}: {error}"[:300]}
            log.warning(
                "The files that say how to reach the API server cannot be read; the old ones count", extra=words
            )

    def _made(self, configuration: kubernetes.Configuration) -> Login:
        names = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
        tls = b"\0".join((*(Path(name).read_bytes() for name in names if name), b"%d" % bool(configuration.verify_ssl)))
        trust = self._login.trust if tls == self._tls else _trust(configuration)
        self._tls = tls
        token = configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        headers = {"Authorization": token} if token else {}
        return Login(configuration.host, headers, trust, configuration.proxy or None, configuration.tls_server_name)


def _load() -> kubernetes.Configuration:
    configuration = kubernetes.Configuration(proxy="", no_proxy="")  # None would mean: those of the environment
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        _load_kubeconfig(configuration)
    if configuration.proxy:
        _check_proxy(configuration.proxy)
        parts = urlsplit(configuration.proxy)
        if parts.username:
            words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            configuration.proxy_headers = urllib3.make_headers(proxy_basic_auth=words)
    return configuration


def _load_kubeconfig(configuration: kubernetes.Configuration) -> None:
    """Read the kubeconfig; raises ConfigException with its path."""
    try:
        config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException as error:
        raise ConfigException(f"{kube_config.KUBE_CONFIG_DEFAULT_LOCATION}: {error}") from error


def _check_proxy(url: str) -> None:
    """Raise ConfigException for a proxy that not both clients can use."""
    where = "the proxy-url of the cluster in the kubeconfig"
    try:
        urls.check(url, credentials=True)
    except ValueError as error:
        raise ConfigException(f"{where} {error}") from None
    if not url.startswith("http://"):
        raise ConfigException(f"{where} must begin with http://")


def _trust(configuration: kubernetes.Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
