"""The transport: sign, send once, read the reply; the only module that imports `requests`.

Nothing here repeats a request. What a lost reply means depends on the operation, and only the reconciler knows what to
look at before it asks again.

See docs/design/create-protocol.md#sending.
"""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import DecodeError, HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError
from urllib3.util import Retry

from qianfan_operator.ca_bundle import CaBundle
from qianfan_operator.cloud import budget, call_log
from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.clock import Clock, CloudClock
from qianfan_operator.cloud.config import CloudSettings
from qianfan_operator.cloud.errors import (
    CREATES,
    CaBundleUnusable,
    ClockUnknown,
    ClockUntrusted,
    CloudError,
    StaleRequest,
    SwitchedOff,
    counted,
    is_v2,
)
from qianfan_operator.cloud.fields import MalformedError
from qianfan_operator.cloud.operations import REPLY_LIMIT, USER_LIST, Endpoint
from qianfan_operator.cloud.replies import Answer, read_reply
from qianfan_operator.cloud.sending import pools
from qianfan_operator.cloud.signing import authorization, timestamp
from qianfan_operator.network import address, cause, untrusted
from qianfan_operator.telemetry.redacted import RedactedDict

T = TypeVar("T")

OnCall = Callable[[str, str, float], None]
"""Told after every call: the operation, "OK" or the error's code (`counted`), and the seconds that it took."""

_CHUNK_BYTES: Final = 64 * 1024
_POOLED_CONNECTIONS: Final = 32

_LARGE: Final = threading.BoundedSemaphore(2)
"""Replies above REPLY_LIMIT that are held at a time: what is made of one needs several times its size of memory."""

_SENTENCES: Final = {
    "BadReply": "Malformed response from the Qianfan API.",
    "CertificateUntrusted": "The certificate of {address} is not trusted: {cause}.",
    "ConnectTimeout": "{address} did not accept a connection in time.",
    "ConnectionLost": "The connection to {address} broke before the whole answer had arrived.",
    "ConnectionRefused": "No connection to {address}: {cause}.",
    "NameResolution": "The host name of {address} could not be resolved: {cause}.",
    "ProxyFailed": "The proxy {address} (QIANFAN_PROXY) failed: {cause}.",
    "ReplyTooLarge": "The answer is larger than the operator accepts.",
    "TLSFailed": "TLS with {address} failed: {cause}.",
    "Timeout": "{address} did not answer in time.",
}

_TROUBLES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (requests.exceptions.ProxyError, "ProxyFailed"),
    (requests.exceptions.SSLError, "TLSFailed"),
    (requests.exceptions.ConnectTimeout, "ConnectTimeout"),
    (NameResolutionError, "NameResolution"),
    (NewConnectionError, "ConnectionRefused"),
    (requests.exceptions.ReadTimeout, "Timeout"),
    (ReadTimeoutError, "Timeout"),
    (DecodeError, "BadReply"),
)


@dataclass(frozen=True, slots=True)
class _Signed:
    """A request as it will be sent, and the boot time at which it was signed."""

    endpoint: Endpoint
    body: bytes
    headers: RedactedDict
    signed_at: float


class Prepared(Generic[T]):
    """A paid create that is signed and not yet sent; between the two, the caller records its intent.

    See docs/design/create-protocol.md#sending.
    """

    def __init__(self, transport: "Transport", request: _Signed, parse: Callable[[object], T], expiry: float) -> None:
        self._transport = transport
        self._request = request
        self._parse = parse
        self._expiry = expiry
        self._sent = False

    @property
    def operation(self) -> str:
        """The wire's word for the create."""
        return self._request.endpoint.operation

    def send(self) -> T:
        """Send it, once, and return the ids that the cloud gave.

        Raises StaleRequest if the signature has expired meanwhile, CloudError for what the cloud or the way to it
        answers, and RuntimeError when called again: every repeat needs an intent and a signature of its own.
        """
        if self._sent:
            raise RuntimeError(f"a prepared {self.operation} may be sent only once")
        self._sent = True
        if self._transport.age(self._request) >= self._expiry:
            raise StaleRequest(self.operation)
        return self._transport.deliver(self._request, self._parse)


class Transport:
    """One account's way to the cloud. Safe for many threads; `on_call` must be, too."""

    def __init__(
        self, settings: CloudSettings, keys: AccessKey, clock: Clock, on_call: OnCall = lambda *_: None
    ) -> None:
        self.settings = settings
        self.keys = keys
        self.cloud_clock = CloudClock(clock, settings.clock_limit)
        self._clock = clock
        self._on_call = on_call
        self._ca_bundle = CaBundle(settings.ca_bundle) if settings.verify_tls and settings.ca_bundle else None
        self._adapter = self._new_adapter()

    def call(self, endpoint: Endpoint, body: Mapping[str, Any], parse: Callable[[object], T]) -> T:
        """Make a read or a free change and return `parse(result)`. Raises CloudError.

        A change needs the cloud's time, as its signature is to end soon: that is asked for if it was never told.
        """
        if endpoint.changes and self._offered(endpoint) and self.cloud_clock.measured() is None:
            self.tell_time()
            if self.cloud_clock.measured() is None:
                raise ClockUnknown(endpoint.operation)
        return self.deliver(self._sign(endpoint, body), parse)

    def close(self) -> None:
        """Close the pooled connections. One that is in use is closed after that; a later call opens another."""
        self._adapter.close()

    def tell_time(self) -> None:
        """Learn the cloud's time by one cheap read.

        Raises the read's CloudError, unless its answer told the time all the same.
        """
        try:
            self.call(USER_LIST, {"pageNo": 1, "pageSize": 1}, lambda _: None)
        except CloudError:
            if not self.cloud_clock.known():
                raise

    def prepare(self, endpoint: Endpoint, body: Mapping[str, Any], parse: Callable[[object], T]) -> Prepared[T]:
        """Sign a paid create now. Raises ClockUnknown, ClockUntrusted or BudgetSpent."""
        if not self.cloud_clock.known():
            raise ClockUnknown(endpoint.operation)
        return Prepared(self, self._sign(endpoint, body), parse, self.settings.create_expiry_seconds)

    def age(self, request: _Signed) -> float:
        """Return the seconds since `request` was signed, sleep of the machine included."""
        return self._clock.boottime() - request.signed_at

    def deliver(self, request: _Signed, parse: Callable[[object], T]) -> T:
        """Send a signed request, once; count and log it. Raises CloudError."""
        operation = request.endpoint.operation
        started = self._clock.boottime()
        code, request_id, large = "Aborted", "", ExitStack()
        value: T | None = None
        failure: CloudError | None = None
        try:
            reply = read_reply(operation, self._exchange(request, large), self.keys.redact)
            request_id = reply.request_id
            try:
                value = parse(reply.result)
            except MalformedError as error:
                message = f"{_SENTENCES['BadReply']} {error}"
                raise CloudError(operation, "BadReply", message, request_id=request_id) from None
            code = "OK"
        except CloudError as error:
            code, request_id, failure = error.code, error.request_id, error
            budget.failed(error)
            raise
        finally:
            large.close()
            seconds = self._clock.boottime() - started
            self._on_call(operation, counted(code), seconds)
            call_log.tell(request.endpoint, request.body, value, code, request_id, seconds, failure)
        return value

    def _offered(self, endpoint: Endpoint) -> bool:
        """Tell that the settings allow the call; raises SwitchedOff."""
        if is_v2(endpoint.operation) and not self.settings.use_v2:
            raise SwitchedOff(endpoint.operation)
        return True

    def _sign(self, endpoint: Endpoint, body: Mapping[str, Any]) -> _Signed:
        """Sign a call for as long as its kind may be repeated by others. Raises NotSent."""
        settings = self.settings
        self._offered(endpoint)
        if endpoint.changes and not self.cloud_clock.trusted():
            raise ClockUntrusted(endpoint.operation, settings.unverified_correction_seconds)
        budget.spend(endpoint.operation)
        boottime = self._clock.boottime()
        now = self.cloud_clock.now()
        headers = RedactedDict(
            {"Host": self.settings.host, "Content-Type": "application/json", "x-bce-date": timestamp(now)}
        )
        headers["Authorization"] = authorization(
            self.keys,
            method="POST",
            path=endpoint.path,
            query=endpoint.query,
            headers=headers,
            signed_at=now,
            expires_in=settings.create_expiry_seconds if endpoint.changes else settings.sign_expiration_seconds,
        )
        headers["User-Agent"] = headers["request-source"] = self.settings.user_agent
        return _Signed(endpoint, json.dumps(body, allow_nan=False).encode(), headers, boottime)

    def _exchange(self, request: _Signed, large: ExitStack) -> Answer:
        """Send and receive; a create on a connection of its own."""
        if request.endpoint.operation not in CREATES:
            return self._receive(self._adapter, request, request.headers, large)
        # A pooled connection that the server has just closed looks exactly like a lost reply.
        with closing(self._new_adapter()) as adapter:
            return self._receive(adapter, request, RedactedDict(request.headers, Connection="close"), large)

    def _receive(self, adapter: HTTPAdapter, request: _Signed, headers: RedactedDict, large: ExitStack) -> Answer:
        settings = self.settings
        try:
            if self._ca_bundle:
                self._ca_bundle.check()
        except ValueError as error:
            raise CaBundleUnusable(request.endpoint.operation, settings.ca_bundle, str(error)) from None
        try:
            with adapter.send(
                _as_sent(settings.origin, request, headers),
                timeout=(settings.connect_timeout, settings.read_timeout),
                proxies={"http": settings.proxy, "https": settings.proxy} if settings.proxy else {},
                verify=(settings.ca_bundle or True) if settings.verify_tls else False,
                stream=True,
            ) as response:
                received = self._clock.boottime()
                body = self._read(request.endpoint, response, large)
                answer = Answer.decode(response.status_code, response.headers, body)
        except (OSError, HTTPError) as error:
            code = _trouble(error)
            # Without the cause: it holds the request, and that holds the signature.
            raise CloudError(request.endpoint.operation, code, _sentence(code, error, settings)) from None
        if answer.is_the_clouds:
            self.cloud_clock.learn(answer.headers.get("date"), received)
        return answer

    def _read(self, endpoint: Endpoint, response: requests.Response, large: ExitStack) -> bytes:
        """Read the body as it comes, unpacked, up to the size that is granted to it; its connection grants the time."""
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            if len(body) + len(chunk) > endpoint.reply_limit:
                raise CloudError(endpoint.operation, "ReplyTooLarge", _SENTENCES["ReplyTooLarge"])
            if len(body) <= REPLY_LIMIT < len(body) + len(chunk):
                large.enter_context(_LARGE)
            body += chunk
        return bytes(body)

    def _new_adapter(self) -> HTTPAdapter:
        return _Adapter(self._clock.boottime, self.settings.read_timeout)


class _Adapter(HTTPAdapter):
    """What a session sends with: it repeats, follows and stores nothing, and asks nothing of the environment.

    A whole reply may take `seconds` on `clock`.
    """

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._pools = pools(clock, seconds)
        super().__init__(pool_maxsize=_POOLED_CONNECTIONS, max_retries=Retry(0, read=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> urllib3.ProxyManager:
        """See HTTPAdapter."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _as_sent(origin: str, request: _Signed, headers: RedactedDict) -> requests.PreparedRequest:
    """Fill in by hand what is signed as it is: requests would read and write the URL anew, at the price of signing."""
    prepared = requests.PreparedRequest()
    query = urlencode(request.endpoint.query)
    prepared.method, prepared.body = "POST", request.body
    prepared.url = f"{origin}{request.endpoint.path}{'?' if query else ''}{query}"
    prepared.headers = CaseInsensitiveDict({**headers, "Content-Length": str(len(request.body))})
    return prepared


def _sentence(code: str, error: BaseException, settings: CloudSettings) -> str:
    """Say where and why a connection failed."""
    at_proxy = settings.proxy if isinstance(error, requests.exceptions.ProxyError) else None
    return _SENTENCES[code].format(address=address(at_proxy or settings.origin), cause=cause(error))


def _trouble(error: BaseException) -> str:
    """Name what went wrong on the way. Only the names that prove that nothing was sent are `refused`.

    See docs/design/create-protocol.md#sending.
    """
    if untrusted(error):
        return "CertificateUntrusted"
    inner = error.args[0] if error.args else None
    reason = getattr(inner, "reason", inner)  # urllib3 wraps what happened once more, as "too many retries"
    codes = (code for kind, code in _TROUBLES if isinstance(error, kind) or isinstance(reason, kind))
    return next(codes, "ConnectionLost")
