"""Asking about fewer people at a time."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from lamplighter.ids import UserId
from lamplighter.routing.parts import MOST_ALONE, MOST_CALLS, MOST_SUSPECTS, Part, Parts, Suspects


def people(count: int) -> list[UserId]:
    """Return so many people."""
    return [UserId(f"@u{number}:demo") for number in range(count)]


def asked(
    parts: Parts, fails: Callable[[Part], bool], suspects: Suspects
) -> tuple[int, list[Part]]:
    """Ask all *parts*; return the number of calls, and those that stay without an answer."""
    lost: list[Part] = []
    while (part := parts.take()) is not None:
        if not fails(part):
            suspects.answered(part)
            continue
        suspects.failed(part)
        if not parts.split(part):
            lost.append(part)
    left = parts.give_up()
    return parts.calls, [*lost, left] if left else lost


def test_one_of_thousands() -> None:
    """One person among thousands costs the others nothing, and some two dozen calls; then two."""
    users, suspects = people(5_000), Suspects()
    bad = users[1234]
    first = asked(Parts(users, suspects), lambda part: bad in part, suspects)
    again = asked(Parts(users, suspects), lambda part: bad in part, suspects)
    assert first == (27, [(bad,)])
    assert again == (2, [(bad,)])


def test_who_is_well_again() -> None:
    """Who was answered about is no suspect any more."""
    users, suspects = people(10), Suspects()
    asked(Parts(users, suspects), lambda part: users[3] in part, suspects)
    assert asked(Parts(users, suspects), lambda part: False, suspects) == (2, [])
    assert asked(Parts(users, suspects), lambda part: False, suspects) == (1, [])


def test_all_fail() -> None:
    """Where everybody fails, the calls are bounded, and everybody is without an answer."""
    users, suspects = people(5_000), Suspects()
    for _ in range(3):
        calls, lost = asked(Parts(users, suspects), lambda part: True, suspects)
        assert calls <= MOST_CALLS
        assert sorted(user_id for part in lost for user_id in part) == sorted(users)


def test_many_accounts_of_one_stranger() -> None:
    """However many fail, as long as they are remembered, the others get answers in the end."""
    users, suspects = people(5_000), Suspects()
    bad = set(users[::25])
    for _ in range(40):
        calls, lost = asked(Parts(users, suspects), lambda part: not bad.isdisjoint(part), suspects)
        assert calls <= MOST_CALLS
    assert {user_id for part in lost for user_id in part} <= bad


def test_suspects_are_bounded() -> None:
    """So many are remembered, the last that failed; they are asked about alone, or together."""
    users, suspects = people(MOST_SUSPECTS + 1), Suspects()
    for user_id in users:
        suspects.failed((user_id,))
    assert [it in suspects for it in (users[0], users[1], users[-1])] == [False, True, True]
    parts = Parts(users, suspects)
    taken = [part for _ in range(MOST_ALONE + 2) if (part := parts.take())]
    assert [len(part) for part in taken] == [1, *[1] * MOST_ALONE, MOST_SUSPECTS - MOST_ALONE]


@given(st.integers(1, 60), st.sets(st.integers(0, 59)), st.sets(st.integers(0, 59)))
def test_everybody_is_asked_about(count: int, bad: set[int], suspected: set[int]) -> None:
    """Exactly those stay without an answer for whom the module fails, while calls are left."""
    users, suspects = people(count), Suspects()
    for number in suspected:
        suspects.failed((UserId(f"@u{number}:demo"),))
    failing = {users[number] for number in bad if number < count}
    calls, lost = asked(Parts(users, suspects), lambda part: not failing.isdisjoint(part), suspects)
    without = {user_id for part in lost for user_id in part}
    assert failing <= without
    assert calls <= MOST_CALLS
    if all(len(part) == 1 for part in lost):
        assert without == failing
