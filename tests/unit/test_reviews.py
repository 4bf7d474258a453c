"""The gate of /metrics: the API server decides, and is not asked more often than it must be."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from qianfan_operator.kube.client import Kube, KubeError
from qianfan_operator.kube.reviews import BAD_FOR, BURST, GOOD_FOR, RATE, REMEMBERED, Reviews

SCRAPER: dict[str, Any] = {
    "username": "system:serviceaccount:monitoring:prometheus",
    "groups": ["system:authenticated"],
}


@dataclass
class Authority:
    """An API server that knows some tokens and lets some users in."""

    known: dict[str, dict[str, Any]] = field(default_factory=lambda: {"good": SCRAPER, "guest": {"username": "guest"}})
    away: bool = False
    asked: list[str] = field(default_factory=list)

    def review_token(self, token: str) -> dict[str, Any] | None:
        self.asked.append(token)
        if self.away:
            raise KubeError("away")
        return self.known.get(token)

    def review_access(self, user: dict[str, Any], path: str, verb: str) -> bool:
        assert (path, verb) == ("/metrics", "get")
        return user == SCRAPER


@dataclass
class Place:
    authority: Authority = field(default_factory=Authority)
    now: float = 0.0

    def play(self, story: Callable[[Reviews], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            await story(Reviews(cast("Kube", self.authority), lambda: self.now))

        asyncio.run(run())


@pytest.fixture
def place() -> Place:
    return Place()


def test_the_api_server_decides(place: Place) -> None:
    """Without a token nobody is asked about; then it is known or not, and allowed or not."""

    async def story(gate: Reviews) -> None:
        assert [await gate(token) for token in ("", "good", "guest", "\udcff")] == [401, 200, 403, 401]

    place.play(story)
    assert place.authority.asked == ["good", "guest", "\udcff"]


def test_an_answer_is_believed_for_a_while(place: Place) -> None:
    """A right that is taken away ends within a minute, one that is given begins within seconds."""

    async def story(gate: Reviews) -> None:
        assert [await gate("good"), await gate("bad")] == [200, 401]
        place.authority.known = {"bad": SCRAPER}
        assert [await gate("good"), await gate("bad")] == [200, 401]
        place.now += BAD_FOR
        assert [await gate("good"), await gate("bad")] == [200, 200]
        place.now += GOOD_FOR - BAD_FOR
        assert [await gate("good"), await gate("bad")] == [401, 200]

    place.play(story)
    assert place.authority.asked == ["good", "bad", "bad", "good"]


def test_made_up_tokens_cost_a_fixed_rate(place: Place) -> None:
    """However many are sent, the API server is asked about some; and a token that was good is not kept out by them."""

    async def story(gate: Reviews) -> None:
        assert await gate("good") == 200
        told = [await gate(f"made up {number}") for number in range(1000)]
        assert told.count(401) == int(BURST) - 1
        assert told.count(429) == 1000 - told.count(401)
        place.now += GOOD_FOR
        await asyncio.gather(*(gate(f"more {number}") for number in range(1000)))
        assert await gate("good") == 200

    place.play(story)
    assert len(place.authority.asked) <= 2 * BURST + GOOD_FOR * RATE
    assert place.authority.asked.count("good") == 2


def test_one_token_is_asked_about_once_at_a_time(place: Place) -> None:
    """Many scrapes at once with one token are one question."""

    async def story(gate: Reviews) -> None:
        assert await asyncio.gather(*(gate("good") for _ in range(50))) == [200] * 50

    place.play(story)
    assert place.authority.asked == ["good"]


def test_an_api_server_that_is_away_lets_nobody_in_for_longer(place: Place) -> None:
    """What was believed ends in its time; it is no answer, and is not remembered as one."""

    async def story(gate: Reviews) -> None:
        assert await gate("good") == 200
        place.authority.away = True
        assert await gate("good") == 200
        place.now += GOOD_FOR
        assert await gate("good") == 503
        place.authority.away = False
        assert await gate("good") == 200

    place.play(story)


def test_what_is_remembered_is_bounded(place: Place) -> None:
    """Refused tokens make room first."""

    async def story(gate: Reviews) -> None:
        assert await gate("good") == 200
        for number in range(2 * REMEMBERED):
            place.now += 1 / RATE / 100  # not so long that the good one is asked about again
            gate._budget = BURST
            await gate(f"made up {number}")
        assert len(gate._known) == REMEMBERED
        assert await gate("good") == 200

    place.play(story)
    assert place.authority.asked.count("good") == 1
