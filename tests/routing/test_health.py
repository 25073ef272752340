"""Counts and response times of a module."""

from lamplighter.clock import Timestamp
from lamplighter.routing.health import Failure, ModuleHealth


def test_counts_and_times() -> None:
    """Calls and failures are counted; the last failure, and the response times of the last answers,
    are known.
    """
    health = ModuleHealth()
    assert (health.calls, health.failures, health.last_failure) == (0, 0, None)
    assert health.seconds(0.5) is None
    for hundredths in range(1, 101):
        health.asked()
        health.answered(hundredths / 100)
    failures = [Failure("get_users_for_states", "timeout", "late", Timestamp(at)) for at in (1, 2)]
    for failure in failures:
        health.failed(failure)
    assert (health.calls, health.failures, health.last_failure) == (100, 2, failures[1])
    assert [health.seconds(share) for share in (0.01, 0.5, 0.99, 1)] == [0.01, 0.5, 0.99, 1.0]
    for _ in range(1000):
        health.answered(0.25)
    assert health.seconds(1) == 0.25
