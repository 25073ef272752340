"""Cached answers of `get_interested_users`."""

from lamplighter.clock import Timestamp
from lamplighter.ids import StreamPosition, UserId
from lamplighter.routing.reasons import AllUsers, Module
from lamplighter.routing.visibility import Interest, ModuleInterests, NoLongerNamed
from tests.routing.people import ALICE, BOB, CHARLIE, DORA

ONE, OTHER = Module("One"), Module("Other")
ALL = AllUsers("One")
P1, NOW = StreamPosition(1), Timestamp(1000)


class Answers(ModuleInterests):
    """The cache, with a short way to add answers."""

    def kept(
        self,
        viewer: UserId,
        *names: UserId,
        position: int = 1,
        now: int = 1000,
        sees_all: AllUsers | None = None,
    ) -> None:
        all_users = (sees_all,) if sees_all else ()
        interest = Interest(dict.fromkeys(names, (ONE,)), all_users)
        self.cache(viewer, interest, StreamPosition(position), Timestamp(now))


def test_both_directions() -> None:
    """An answer is found by its viewer, and by each named user, with the modules as reasons."""
    answers = Answers()
    interest = Interest({BOB: (ONE, OTHER), DORA: (OTHER,)})
    answers.cache(ALICE, interest, StreamPosition(7), Timestamp(1000))
    answers.kept(CHARLIE, BOB)
    assert set(answers.named_for(ALICE)) == {BOB, DORA}
    assert answers.viewers_of(BOB) == {ALICE, CHARLIE}
    assert answers.reasons(ALICE, BOB) == (ONE, OTHER)
    assert answers.reasons(ALICE, CHARLIE) == ()
    assert (answers.named_since(ALICE, BOB), answers.named_since(ALICE, CHARLIE)) == (7, None)


def test_a_new_answer_replaces_the_old_one() -> None:
    """Users who are no longer named are not visible; the others keep their first position."""
    answers = Answers()
    answers.kept(ALICE, BOB, CHARLIE, position=1)
    answers.kept(ALICE, CHARLIE, DORA, position=2, now=2000)
    assert set(answers.named_for(ALICE)) == {CHARLIE, DORA}
    assert [answers.viewers_of(user) for user in (BOB, CHARLIE)] == [set(), {ALICE}]
    since = [answers.named_since(ALICE, user) for user in (BOB, CHARLIE, DORA)]
    assert since == [None, 1, 2]
    assert answers.asked_at(ALICE) == 2000


def test_named_again_after_a_break() -> None:
    """A user who is named again after an answer without the user has a new position."""
    answers = Answers()
    answers.kept(ALICE, BOB, position=1)
    answers.kept(ALICE, position=2)
    answers.kept(ALICE, BOB, position=3)
    assert answers.named_since(ALICE, BOB) == 3


def test_seeing_all() -> None:
    """A viewer of all users sees them since the first of the answers that said so in a row; a user
    who was named before that keeps that position.
    """
    answers = Answers()
    answers.kept(ALICE, BOB, position=1)
    answers.kept(ALICE, BOB, position=2, sees_all=ALL)
    answers.kept(ALICE, BOB, position=3, sees_all=ALL)
    assert answers.viewers_of_all() == {ALICE: ALL}
    assert [answers.named_since(ALICE, user) for user in (BOB, DORA)] == [1, 2]
    answers.kept(ALICE, position=4)
    assert (answers.viewers_of_all(), answers.named_since(ALICE, DORA)) == ({}, None)
    answers.kept(ALICE, position=5, sees_all=ALL)
    assert answers.named_since(ALICE, DORA) == 5


def test_forgetting() -> None:
    """A forgotten answer names nobody; forgetting twice is harmless."""
    answers = Answers()
    answers.kept(ALICE, BOB, sees_all=ALL)
    answers.kept(CHARLIE, BOB)
    answers.forget(ALICE)
    answers.forget(ALICE)
    assert (list(answers.named_for(ALICE)), answers.viewers_of_all()) == ([], {})
    assert (answers.viewers_of(BOB), answers.asked_at(ALICE)) == ({CHARLIE}, None)


def test_age() -> None:
    """The answers from before an instant are found."""
    answers = Answers()
    answers.kept(ALICE, now=1000)
    answers.kept(BOB, now=2000)
    answers.kept(CHARLIE, now=3000)
    assert answers.asked_before(Timestamp(2000)) == [ALICE]
    assert answers.asked_before(Timestamp(2001)) == [ALICE, BOB]


def test_no_longer_named() -> None:
    """A new answer tells which users of the last one it does not name."""
    answers = Answers()
    assert not answers.cache(ALICE, Interest({BOB: (ONE,), DORA: (OTHER,)}), P1, NOW)
    ended = answers.cache(ALICE, Interest({DORA: (OTHER,)}), P1, NOW)
    assert ended == NoLongerNamed({BOB})
    assert not answers.cache(ALICE, Interest({DORA: (OTHER,)}), P1, NOW)


def test_a_lost_answer() -> None:
    """Users of a module whose answer was lost are no longer named only when it answers again."""
    answers = Answers()
    answers.cache(ALICE, Interest({BOB: (ONE,), DORA: (OTHER,)}), P1, NOW)
    lost = Interest({}, (), frozenset({"One"}))
    assert answers.cache(ALICE, lost, P1, NOW) == NoLongerNamed({DORA})
    assert answers.named_for(ALICE) == set()
    assert not answers.cache(ALICE, lost, P1, NOW)
    assert answers.cache(ALICE, Interest({}), P1, NOW) == NoLongerNamed({BOB})


def test_who_saw_everybody() -> None:
    """A viewer sees all users until each module that said so has answered otherwise."""
    answers = Answers()
    answers.cache(ALICE, Interest({}, (AllUsers("One"), AllUsers("Other"))), P1, NOW)
    for lost in ("One", "Other", "One"):
        assert not answers.cache(ALICE, Interest({}, (), frozenset({lost})), P1, NOW)
        answers.cache(ALICE, Interest({}, (AllUsers("One"), AllUsers("Other"))), P1, NOW)
    assert answers.cache(ALICE, Interest({BOB: (ONE,)}), P1, NOW) == NoLongerNamed(
        set(), all_users=True
    )


def test_a_lost_answer_says_nothing_of_what_others_said_of_everybody() -> None:
    """The lost answer of another module does not keep a viewer of all users."""
    answers = Answers()
    answers.cache(ALICE, Interest({}, (AllUsers("One"),)), P1, NOW)
    ended = answers.cache(ALICE, Interest({}, (), frozenset({"Other"})), P1, NOW)
    assert ended == NoLongerNamed(set(), all_users=True)


def test_an_answer_after_a_forgotten_one() -> None:
    """Users of a forgotten answer who are not named again are stale; also after `clear`."""
    answers = Answers()
    answers.kept(ALICE, BOB)
    answers.kept(CHARLIE, BOB)
    answers.forget(ALICE)
    answers.clear()
    for viewer in (ALICE, CHARLIE):
        assert answers.cache(viewer, Interest({}), P1, NOW) == NoLongerNamed({BOB}, is_stale=True)


def test_an_answer_of_another_node() -> None:
    """Users whom an answer of another node names are compared with the next answer, beside those of
    a forgotten one, which keep their positions; not while an answer is in use.
    """
    answers = Answers()
    answers.kept(ALICE, BOB, position=0)
    elsewhere = Interest({CHARLIE: (ONE,), DORA: (OTHER,)}, (AllUsers("One"),))
    answers.restore(ALICE, elsewhere)
    assert answers.last(ALICE) == Interest({BOB: (ONE,)})
    answers.forget(ALICE)
    answers.restore(ALICE, elsewhere)
    ended = answers.cache(ALICE, Interest({BOB: (ONE,), DORA: (OTHER,)}), P1, NOW)
    assert ended == NoLongerNamed({CHARLIE}, all_users=True, is_stale=True)
    assert [answers.named_since(ALICE, it) for it in (BOB, DORA)] == [0, P1]
