"""Where in the stream each user last changed."""

from hypothesis import given
from hypothesis import strategies as st

from lamplighter.ids import StreamPosition, UserId
from lamplighter.service.last_changes import LastChange, LastChanges
from tests.routing.people import ALICE, BOB, CHARLIE

steps = st.lists(st.tuples(st.sampled_from([ALICE, BOB, CHARLIE]), st.booleans()))


def test_who_never_changed() -> None:
    """Who never changed did so before every position."""
    changes = LastChanges()
    never = LastChange(StreamPosition(0), StreamPosition(0))
    assert (changes.of(ALICE), changes.of_each([ALICE, BOB])) == (never, [never, never])
    assert list(changes.after(StreamPosition(0))) == []


@given(steps)
def test_any_changes(moves: list[tuple[UserId, bool]]) -> None:
    """A change counts as told from its position, or from where it was told late; whoever is told
    of after a position is found, newest first.
    """
    changes = LastChanges()
    table: dict[UserId, LastChange] = {}
    for number, (user, is_late) in enumerate(moves, start=1):
        position = StreamPosition(number)
        if is_late and user in table:
            changes.told_late(user, position)
            table[user] = LastChange(table[user].changed, position)
        else:
            changes.changed(user, position)
            table[user] = LastChange(position, position)
    assert {user: changes.of(user) for user in table} == table
    assert changes.of_each(table) == list(table.values())
    newest_first = sorted(table, key=lambda it: table[it].told, reverse=True)
    for after in range(len(moves) + 1):
        assert list(changes.after(StreamPosition(after))) == [
            user for user in newest_first if table[user].told > after
        ]
