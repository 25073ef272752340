"""When a module is paused."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.devtools.clock import FakeClock
from lamplighter.routing.breaker import Breaker, BreakerSettings

SETTINGS = BreakerSettings(
    failures=3, pause=timedelta(seconds=30), longest_pause=timedelta(seconds=100)
)


def answers(steps: str) -> list[bool]:
    """Return what the breaker answers in *steps*: fail, succeed, ask, or a number of seconds."""
    clock, breaker, admitted = FakeClock(), Breaker(SETTINGS), []
    for step in steps.split():
        if step == "ask":
            admitted.append(breaker.admits(clock.now()))
        elif step == "fail":
            breaker.failed(clock.now())
        elif step == "succeed":
            breaker.succeeded()
        else:
            clock.advance(seconds=float(step))
    return admitted


def test_the_defaults() -> None:
    """Five failures in a row pause a module for 30 s, later ones for up to ten minutes."""
    expected = BreakerSettings(5, timedelta(seconds=30), timedelta(minutes=10))
    assert BreakerSettings() == expected


@pytest.mark.parametrize(
    ("steps", "admitted"),
    [
        ("ask fail fail ask", [True, True]),
        ("fail fail fail ask 29.999 ask 0.001 ask", [False, False, True]),
        ("fail fail succeed fail fail ask", [True]),
        ("fail fail fail 30 ask ask ask", [True, False, False]),
        ("fail fail fail 30 ask succeed ask fail fail fail 30 ask", [True, True, True]),
        ("fail fail fail 29 fail 1 ask", [True]),
    ],
    ids=[
        "few failures",
        "too many: a pause",
        "only failures in a row",
        "one call per pause",
        "a success ends the pause, and the next is as short",
        "failures during a pause do not prolong it",
    ],
)
def test_when_the_module_is_called(steps: str, admitted: list[bool]) -> None:
    """After too many failures in a row, a module is called once per pause until it succeeds."""
    assert answers(steps) == admitted


def test_pauses_grow() -> None:
    """Each failure after a pause doubles the pause, up to the longest one."""
    clock, breaker = FakeClock(), Breaker(SETTINGS)
    for _ in range(3):
        breaker.failed(clock.now())
    pauses = []
    for _ in range(5):
        began = clock.now()
        while not breaker.admits(clock.now()):
            clock.advance(seconds=1)
        breaker.failed(clock.now())
        pauses.append((clock.now() - began) // 1000)
    assert pauses == [30, 60, 100, 100, 100]


def test_a_module_that_never_recovers() -> None:
    """A module that fails for years is still called once per longest pause."""
    clock, breaker = FakeClock(), Breaker(SETTINGS)
    for _ in range(2000):
        clock.advance(seconds=100)
        assert breaker.admits(clock.now())
        breaker.failed(clock.now())


@given(st.lists(st.sampled_from(["fail", "succeed", "ask", "40"])))
def test_a_paused_module_always_comes_back(steps: list[str]) -> None:
    """After the longest pause the module is called again, whatever has happened."""
    assert answers(" ".join([*steps, "100", "ask"]))[-1]
    if "succeed" in steps:
        up_to_success = steps[: len(steps) - steps[::-1].index("succeed")]
        assert answers(" ".join([*up_to_success, "ask"]))[-1]
