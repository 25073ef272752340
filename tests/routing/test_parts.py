"""Asking about fewer users at a time."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from lamplighter.ids import UserId
from lamplighter.routing.parts import MOST_ALONE, MOST_CALLS, MOST_SUSPECTS, Part, Parts, Suspects
from tests.routing.people import crowd


def asked(
    parts: Parts, fails: Callable[[Part], bool], suspects: Suspects
) -> tuple[int, list[Part]]:
    """Ask about all *parts*; return the number of calls, and the parts without an answer."""
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
    """One failing user among thousands costs the others nothing; 27 calls find the user, then 2."""
    users, suspects = crowd(5_000), Suspects()
    bad = users[1234]
    first = asked(Parts(users, suspects), lambda part: bad in part, suspects)
    again = asked(Parts(users, suspects), lambda part: bad in part, suspects)
    assert first == (27, [(bad,)])
    assert again == (2, [(bad,)])


def test_answered_again() -> None:
    """A user about whom the module has answered is no suspect any more."""
    users, suspects = crowd(10), Suspects()
    asked(Parts(users, suspects), lambda part: users[3] in part, suspects)
    assert asked(Parts(users, suspects), lambda part: False, suspects) == (2, [])
    assert asked(Parts(users, suspects), lambda part: False, suspects) == (1, [])


def test_all_fail() -> None:
    """If the module fails for all users, the calls are bounded, and no user has an answer."""
    users, suspects = crowd(5_000), Suspects()
    for _ in range(3):
        calls, lost = asked(Parts(users, suspects), lambda part: True, suspects)
        assert calls <= MOST_CALLS
        assert sorted(user_id for part in lost for user_id in part) == sorted(users)


def test_many_accounts_of_one_stranger() -> None:
    """If the module fails for many users, all others have answers after some questions."""
    users, suspects = crowd(5_000), Suspects()
    bad = set(users[::25])
    for _ in range(40):
        calls, lost = asked(Parts(users, suspects), lambda part: not bad.isdisjoint(part), suspects)
        assert calls <= MOST_CALLS
    assert {user_id for part in lost for user_id in part} <= bad


def test_suspects_are_bounded() -> None:
    """The last suspects are remembered, a bounded number; only some get a call of their own."""
    users, suspects = crowd(MOST_SUSPECTS + 1), Suspects()
    for user_id in users:
        suspects.failed((user_id,))
    assert [it in suspects for it in (users[0], users[1], users[-1])] == [False, True, True]
    parts = Parts(users, suspects)
    taken = [part for _ in range(MOST_ALONE + 2) if (part := parts.take())]
    assert [len(part) for part in taken] == [1, *[1] * MOST_ALONE, MOST_SUSPECTS - MOST_ALONE]


@given(st.integers(1, 60), st.sets(st.integers(0, 59)), st.sets(st.integers(0, 59)))
def test_who_is_left(count: int, bad: set[int], suspected: set[int]) -> None:
    """While calls are left, exactly the users for whom the module fails are without an answer."""
    users, suspects = crowd(count), Suspects()
    for number in suspected:
        suspects.failed((UserId(f"@u{number}:demo"),))
    failing = {users[number] for number in bad if number < count}
    calls, lost = asked(Parts(users, suspects), lambda part: not failing.isdisjoint(part), suspects)
    without = {user_id for part in lost for user_id in part}
    assert failing <= without
    assert calls <= MOST_CALLS
    if all(len(part) == 1 for part in lost):
        assert without == failing
