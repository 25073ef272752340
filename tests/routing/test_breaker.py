"""When a module is left alone."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.devtools.clock import FakeClock
from lamplighter.routing.breaker import Breaker, BreakerSettings

SETTINGS = BreakerSettings(
    failures=3, pause=timedelta(seconds=30), longest_pause=timedelta(seconds=100)
)


@pytest.fixture
def clock() -> FakeClock:
    """The time."""
    return FakeClock()


def broken(clock: FakeClock, failures: int = 3) -> Breaker:
    """Return a breaker that has seen so many failures."""
    breaker = Breaker(SETTINGS)
    for _ in range(failures):
        breaker.failed(clock.now())
    return breaker


def test_the_defaults() -> None:
    """Five failures in a row pause a module for 30 s, later ones for up to ten minutes."""
    expected = BreakerSettings(5, timedelta(seconds=30), timedelta(minutes=10))
    assert BreakerSettings() == expected


def test_few_failures(clock: FakeClock) -> None:
    """Before there are too many failures, the module is called."""
    breaker = broken(clock, 2)
    assert (breaker.is_open, breaker.admits(clock.now())) == (False, True)


def test_too_many_failures(clock: FakeClock) -> None:
    """After too many failures in a row the module is not called until the pause is over."""
    breaker = broken(clock)
    assert (breaker.is_open, breaker.admits(clock.now())) == (True, False)
    clock.advance(milliseconds=29_999)
    assert not breaker.admits(clock.now())
    clock.advance(milliseconds=1)
    assert breaker.admits(clock.now())


def test_a_success_between(clock: FakeClock) -> None:
    """Failures count in a row only."""
    breaker = broken(clock, 2)
    breaker.succeeded()
    breaker.failed(clock.now())
    breaker.failed(clock.now())
    assert not breaker.is_open


def test_one_try_per_pause(clock: FakeClock) -> None:
    """After a pause one caller is let through; until it has an answer, nobody else is."""
    breaker = broken(clock)
    clock.advance(seconds=30)
    assert [breaker.admits(clock.now()) for _ in range(3)] == [True, False, False]
    assert breaker.is_open


def test_the_try_succeeds(clock: FakeClock) -> None:
    """A try that succeeds ends the pause, and the next one is as short as the first."""
    breaker = broken(clock)
    clock.advance(seconds=30)
    breaker.admits(clock.now())
    breaker.succeeded()
    assert (breaker.is_open, breaker.admits(clock.now())) == (False, True)
    for _ in range(3):
        breaker.failed(clock.now())
    clock.advance(seconds=30)
    assert breaker.admits(clock.now())


def test_pauses_grow(clock: FakeClock) -> None:
    """Each try that fails doubles the pause, up to the longest."""
    breaker = broken(clock)
    pauses = []
    for _ in range(5):
        began = clock.now()
        while not breaker.admits(clock.now()):
            clock.advance(seconds=1)
        breaker.failed(clock.now())
        pauses.append((clock.now() - began) // 1000)
    assert pauses == [30, 60, 100, 100, 100]


def test_failures_during_a_pause(clock: FakeClock) -> None:
    """Answers that fail while the module is paused do not make the pause longer."""
    breaker = broken(clock)
    clock.advance(seconds=29)
    breaker.failed(clock.now())
    clock.advance(seconds=1)
    assert breaker.admits(clock.now())


def test_a_module_that_never_recovers(clock: FakeClock) -> None:
    """A module may fail for years: it is still tried once per longest pause."""
    breaker = broken(clock)
    for _ in range(2000):
        clock.advance(seconds=100)
        assert breaker.admits(clock.now())
        breaker.failed(clock.now())


@given(st.lists(st.sampled_from(["fail", "succeed", "ask", "wait"])))
def test_a_paused_module_always_comes_back(steps: list[str]) -> None:
    """Whatever has happened, after the longest pause the module is called again."""
    clock, breaker = FakeClock(), Breaker(SETTINGS)
    for step in steps:
        if step == "fail":
            breaker.failed(clock.now())
        elif step == "succeed":
            breaker.succeeded()
            assert breaker.admits(clock.now())
        elif step == "ask":
            assert breaker.admits(clock.now()) or breaker.is_open
        else:
            clock.advance(seconds=40)
    clock.advance(seconds=100)
    assert breaker.admits(clock.now())
