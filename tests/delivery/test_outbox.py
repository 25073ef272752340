"""The outbox of one viewer."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.delivery import outbox as module
from lamplighter.delivery.outbox import Outbox, Update
from lamplighter.ids import StreamPosition, UserId
from lamplighter.routing.reasons import Module, Self
from tests.routing.people import ALICE, BOB, CHARLIE, state

MODULE = Module("MyRouter")


def at(position: int) -> StreamPosition:
    """Return the position of that number."""
    return StreamPosition(position)


def news(user_id: UserId, position: int, about: int | None = None) -> Update:
    """Return an update whose status message says which one it is."""
    told_of = position if about is None else about
    return Update(state(user_id, f"at {position}"), (MODULE,), at(position), at(told_of))


def filled(*updates: Update) -> Outbox:
    """Return an outbox, open since the beginning, that was given *updates*."""
    outbox = Outbox(at(0))
    for update in updates:
        assert outbox.put(UserId(update.state.user_id), update)
    return outbox


def after(outbox: Outbox, position: int) -> list[Update]:
    """Return what the outbox has after the position of that number."""
    return list(outbox.after(at(position)))


def test_an_empty_outbox() -> None:
    """A new outbox has nothing to tell, and answers tokens from its opening on."""
    outbox = Outbox(at(7))
    assert (outbox.since, after(outbox, 0), outbox.last(BOB)) == (7, [], None)


def test_newest_first() -> None:
    """`after` returns updates newest first, without one at the position itself."""
    outbox = filled(news(BOB, 1), news(ALICE, 2), news(CHARLIE, 3))
    assert after(outbox, 0) == [news(CHARLIE, 3), news(ALICE, 2), news(BOB, 1)]
    assert after(outbox, 2) == [news(CHARLIE, 3)]
    assert after(outbox, 3) == []


def test_newest_per_user() -> None:
    """An outbox has the newest update of each user only."""
    outbox = filled(news(BOB, 1), news(ALICE, 2), news(BOB, 3))
    assert after(outbox, 0) == [news(BOB, 3), news(ALICE, 2)]
    assert (outbox.last(BOB), len(after(outbox, 0))) == (news(BOB, 3), 2)


def test_nothing_older_replaces() -> None:
    """A late update about an older change never replaces one about a newer change."""
    outbox = filled(news(BOB, 3))
    assert not outbox.put(BOB, news(BOB, 4, about=2))
    assert after(outbox, 0) == [news(BOB, 3)]


def test_told_late() -> None:
    """A late update about the same change replaces the first, and is news to tokens in between."""
    outbox = filled(news(BOB, 3), news(ALICE, 4), news(BOB, 5, about=3))
    assert after(outbox, 4) == [news(BOB, 5, about=3)]


def test_reading_does_not_consume() -> None:
    """Reading twice with the same token returns the same."""
    outbox = filled(news(BOB, 1))
    assert after(outbox, 0) == after(outbox, 0) == [news(BOB, 1)]


def test_other_reasons() -> None:
    """An update may be given other reasons, which is no news; one about another change is not."""
    outbox = filled(news(BOB, 3), news(ALICE, 4))
    before = news(BOB, 3)
    outbox.explain(BOB, before.about, (Self(),))
    outbox.explain(ALICE, StreamPosition(3), (Self(),))
    outbox.explain(CHARLIE, StreamPosition(3), (Self(),))
    explained = Update(before.state, (Self(),), before.position, before.about)
    assert after(outbox, 0) == [news(ALICE, 4), explained]
    assert after(outbox, 4) == []


def test_dropping() -> None:
    """A dropped update is gone; dropping a user without an update is harmless."""
    outbox = filled(news(BOB, 1), news(ALICE, 2))
    outbox.drop(BOB)
    outbox.drop(CHARLIE)
    assert (after(outbox, 0), outbox.since) == ([news(ALICE, 2)], 0)


def test_the_bound() -> None:
    """Beyond the bound the oldest is dropped, and tokens before it cannot be answered from here."""
    outbox = Outbox(at(0))
    users = [UserId(f"@user{number}:demo") for number in range(module.MOST_UPDATES + 2)]
    for position, user_id in enumerate(users, start=1):
        outbox.put(user_id, news(user_id, position))
    assert (outbox.since, len(after(outbox, 0))) == (2, module.MOST_UPDATES)
    assert outbox.last(users[1]) is None
    assert outbox.last(users[2]) == news(users[2], 3)


# --- against a plain list of everything that was ever put in


@dataclass(frozen=True)
class Put:
    user_id: UserId
    #: How many batches before this one the change was of which it tells.
    late: int


@dataclass(frozen=True)
class Drop:
    user_id: UserId


users = st.sampled_from([ALICE, BOB, CHARLIE, *(UserId(f"@u{n}:demo") for n in range(4))])
steps = st.lists(st.builds(Put, users, st.sampled_from([0, 0, 1, 3])) | st.builds(Drop, users))
BOUND = 4


@given(steps)
def test_any_history(steps: list[Put | Drop]) -> None:
    """After any history: per user the newest by what it is about, then by when it was told; and
    every token from `since` on is answered with exactly what came after it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_UPDATES", BOUND)
        outbox = Outbox(at(0))
        stands: dict[UserId, Update] = {}
        lost = 0
        for position, step in enumerate(steps, start=1):
            if isinstance(step, Drop):
                outbox.drop(step.user_id)
                stands.pop(step.user_id, None)
                continue
            update = news(step.user_id, position, about=position - step.late)
            before = stands.get(step.user_id)
            taken = before is None or before.about <= update.about
            assert outbox.put(step.user_id, update) == taken
            if taken:
                stands[step.user_id] = update
            if len(stands) > BOUND:
                oldest = min(stands, key=lambda user_id: stands[user_id].position)
                lost = stands.pop(oldest).position
    assert {it.state.user_id: it for it in after(outbox, 0)} == stands
    assert outbox.since == lost
    for token in range(lost, len(steps) + 1):
        expected = sorted(
            (update for update in stands.values() if update.position > token),
            key=lambda update: -update.position,
        )
        assert after(outbox, token) == expected
