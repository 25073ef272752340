"""Deadlines of keys."""

from hypothesis import given
from hypothesis import strategies as st

from lamplighter.clock import Timestamp
from lamplighter.deadlines import Deadlines

KEYS = st.sampled_from("abc")
TIMES = st.integers(0, 5)


@given(st.lists(st.tuples(KEYS, TIMES | st.none()), max_size=20), TIMES)
def test_the_earliest_deadline_counts(steps: list[tuple[str, int | None]], now: int) -> None:
    """A key is due once, at the earliest deadline since it was last due or dropped."""
    deadlines: Deadlines[str] = Deadlines()
    expected: dict[str, int] = {}
    for key, deadline in steps:
        if deadline is None:
            deadlines.drop(key)
            expected.pop(key, None)
        else:
            deadlines.put(key, Timestamp(deadline))
            expected[key] = min(deadline, expected.get(key, deadline))
    first = deadlines.next()
    assert first is None or first <= min(expected.values(), default=5)
    due = sorted(key for key, deadline in expected.items() if deadline <= now)
    assert (sorted(deadlines.due(Timestamp(now))), list(deadlines.due(Timestamp(now)))) == (due, [])


def test_a_key_that_is_put_again_while_the_due_ones_are_taken() -> None:
    """A key that gets a deadline that has come is due again, in the same round."""
    deadlines: Deadlines[str] = Deadlines()
    assert deadlines.next() is None
    deadlines.put("a", Timestamp(1))
    taken = []
    for key in deadlines.due(Timestamp(3)):
        taken.append(key)
        if len(taken) < 3:
            deadlines.put(key, Timestamp(len(taken) + 1))
    assert taken == ["a", "a", "a"]
