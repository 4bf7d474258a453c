"""TokenReview and SubjectAccessReview for `/metrics`.

Anybody can send tokens that nobody knows, as many as he likes. So answers are remembered for a while, and unknown
tokens are asked about at a fixed rate; a token that was good when it was last asked about does not wait for its turn.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from qianfan_operator.kube.client import Kube, KubeError

log = logging.getLogger(__name__)

PATH = "/metrics"
GOOD_FOR, BAD_FOR = 60.0, 10.0  # seconds that an answer is believed
REMEMBERED = 256  # answers; what was good is forgotten last
RATE, BURST = 1.0, 10.0  # unknown tokens that are asked about: per second, and at once
AT_A_TIME = 2


@dataclass
class _Known:
    status: int
    since: float


class Reviews:
    """The gate of `/metrics`. Belongs to one event loop; `clock` gives seconds."""

    def __init__(self, kube: Kube, clock: Callable[[], float]) -> None:
        self._kube, self._clock = kube, clock
        self._known: dict[bytes, _Known] = {}  # by the hash of the token, the eldest first
        self._budget, self._filled = BURST, clock()
        self._asking: dict[bytes, asyncio.Task[int]] = {}
        self._threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="review")

    async def __call__(self, token: str) -> int:
        """Give the HTTP status for the bearer of a token: 200 if he may, 401, 403, 429 to come again later, or 503."""
        if not token:
            return 401
        name = hashlib.sha256(token.encode(errors="backslashreplace")).digest()
        known = self._known.get(name)
        if known and self._clock() - known.since < (GOOD_FOR if known.status == 200 else BAD_FOR):
            return known.status
        if name not in self._asking:
            good = known is not None and known.status == 200
            if not good and not self._afford():
                return 429
            self._asking[name] = asyncio.create_task(self._ask(name, token))
        return await asyncio.shield(self._asking[name])

    async def _ask(self, name: bytes, token: str) -> int:
        try:
            status = await asyncio.get_running_loop().run_in_executor(self._threads, self._review, token)
        except KubeError as error:
            log.warning("The API server could not review a token", extra={"error": str(error)})
            return 503
        finally:
            del self._asking[name]
        self._known.pop(name, None)
        self._known[name] = _Known(status, self._clock())
        if len(self._known) > REMEMBERED:
            eldest = (one for one, answer in self._known.items() if answer.status != 200)
            del self._known[next(eldest, next(iter(self._known)))]
        return status

    def _review(self, token: str) -> int:
        user = self._kube.review_token(token)
        if user is None:
            return 401
        return 200 if self._kube.review_access(user, PATH, "get") else 403

    def _afford(self) -> bool:
        now = self._clock()
        self._budget = min(BURST, self._budget + (now - self._filled) * RATE)
        self._filled = now
        if self._budget < 1.0:
            return False
        self._budget -= 1.0
        return True
