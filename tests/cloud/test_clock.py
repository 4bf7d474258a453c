"""The cloud's time comes from the cloud, and is trusted only as long as it deserves it."""

from email.utils import formatdate

import pytest

from qianfan_operator.cloud.clock import MAX_AGE_SECONDS, TOLERANCE_SECONDS, CloudClock, SystemClock

NOON = 1_709_294_400


@pytest.fixture
def cloud_clock(clock) -> CloudClock:
    return CloudClock(clock)


def date(epoch: float) -> str:
    return formatdate(epoch, usegmt=True)


def test_an_unmeasured_clock_shows_the_wall_clock_and_vouches_for_nothing(cloud_clock, clock):
    """Before the first answer there is only the node's own time, which is no ground for a paid create."""
    assert cloud_clock.now() == clock.wall_time
    assert cloud_clock.measured() is None
    assert not cloud_clock.known()


def test_a_measured_clock_runs_on_boot_time(cloud_clock, clock):
    """Once measured, the wall clock may be set to anything."""
    cloud_clock.learn(date(NOON), clock.boot)
    clock.boot += 30
    clock.wall_time = 0
    assert cloud_clock.now() == NOON + 30
    assert cloud_clock.known()


def test_a_measurement_grows_old(cloud_clock, clock):
    """A paid create needs a measurement of the last minutes; the time itself is still shown."""
    cloud_clock.learn(date(NOON), clock.boot)
    clock.boot += MAX_AGE_SECONDS
    assert cloud_clock.known()
    clock.boot += 1
    assert not cloud_clock.known()
    assert cloud_clock.measured() == NOON + MAX_AGE_SECONDS + 1


@pytest.mark.parametrize("jump", [3600, -3600, TOLERANCE_SECONDS + 1])
def test_a_contradicted_clock_is_not_trusted_until_it_is_confirmed(cloud_clock, clock, jump):
    """Two answers that tell different times leave neither trusted; a third that agrees with the second does."""
    cloud_clock.learn(date(NOON), clock.boot)
    clock.boot += 10
    cloud_clock.learn(date(NOON + 10 + jump), clock.boot)
    assert not cloud_clock.known()
    clock.boot += 1
    cloud_clock.learn(date(NOON + 11 + jump), clock.boot)
    assert cloud_clock.known()
    assert cloud_clock.now() == NOON + 11 + jump


def test_a_late_thread_does_not_turn_the_clock_back(cloud_clock, clock):
    """An answer that was received before the one already taken in changes nothing."""
    cloud_clock.learn(date(NOON), clock.boot)
    cloud_clock.learn(date(NOON - 500), clock.boot - 1)
    assert cloud_clock.now() == NOON
    assert cloud_clock.known()


@pytest.mark.parametrize("header", [None, "", "yesterday", "Fri, 99 Foo 2024 99:00:00 GMT"])
def test_an_unreadable_date_is_no_measurement(cloud_clock, clock, header):
    """What is not a date leaves the clock unmeasured."""
    cloud_clock.learn(header, clock.boot)
    assert cloud_clock.measured() is None


def test_the_machines_clocks_move():
    """The real clocks give seconds, and boot time does not run backwards."""
    system = SystemClock()
    first = system.boottime()
    assert system.boottime() >= first
    assert system.wall() > NOON


@pytest.mark.parametrize("off", [-61.0, -60.0, 0.0, 60.0, 61.0])
def test_an_unproven_date_is_believed_near_the_wall_clock(clock, off):
    """Nobody who can write the header moves the time by more than the limit; a proven one is believed in any case."""
    unproven, proven = CloudClock(clock, 60.0), CloudClock(clock)
    for one in (unproven, proven):
        assert one.trusted(), "what was never said cannot be false"
        one.learn(date(clock.wall_time + off), clock.boot)
    assert unproven.trusted() is (abs(off) <= 60.0)
    assert proven.trusted()
    clock.wall_time += off  # the node's clock is set right
    assert unproven.trusted()
