"""Kept answers of `get_interested_users`."""

from lamplighter.clock import Timestamp
from lamplighter.ids import StreamPosition, UserId
from lamplighter.routing.reasons import AllUsers, Module
from lamplighter.routing.visibility import Interest, ModuleInterests, NoLongerNamed
from tests.routing.people import ALICE, BOB, CHARLIE, DORA

ONE, OTHER = Module("One"), Module("Other")
ALL = AllUsers("One")
P1, NOW = StreamPosition(1), Timestamp(1000)


class Answers(ModuleInterests):
    """With answers that are short to write."""

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
        self.keep(viewer, interest, StreamPosition(position), Timestamp(now))


def test_nothing_is_kept_at_first() -> None:
    """Of a viewer who was never asked about, nobody may be seen."""
    answers = Answers()
    assert list(answers.named_for(ALICE)) == []
    assert answers.viewers_of(BOB) == set()
    assert answers.viewers_of_all() == {}
    assert answers.reasons(ALICE, BOB) == ()
    assert (answers.asked_at(ALICE), answers.oldest()) == (None, None)
    assert answers.named_since(ALICE, BOB) is None


def test_both_directions() -> None:
    """An answer is found by the viewer and by whom it names, with the modules that do."""
    answers = Answers()
    interest = Interest({BOB: (ONE, OTHER), DORA: (OTHER,)})
    answers.keep(ALICE, interest, StreamPosition(7), Timestamp(1000))
    answers.kept(CHARLIE, BOB)
    assert set(answers.named_for(ALICE)) == {BOB, DORA}
    assert answers.viewers_of(BOB) == {ALICE, CHARLIE}
    assert answers.reasons(ALICE, BOB) == (ONE, OTHER)
    assert answers.reasons(ALICE, CHARLIE) == ()
    assert (answers.named_since(ALICE, BOB), answers.named_since(ALICE, CHARLIE)) == (7, None)


def test_a_new_answer_replaces_the_old_one() -> None:
    """Who is no longer named is out of sight; who still is keeps the position of the first time."""
    answers = Answers()
    answers.kept(ALICE, BOB, CHARLIE, position=1)
    answers.kept(ALICE, CHARLIE, DORA, position=2, now=2000)
    assert set(answers.named_for(ALICE)) == {CHARLIE, DORA}
    assert [answers.viewers_of(user) for user in (BOB, CHARLIE)] == [set(), {ALICE}]
    since = [answers.named_since(ALICE, user) for user in (BOB, CHARLIE, DORA)]
    assert since == [None, 1, 2]
    assert answers.asked_at(ALICE) == 2000


def test_named_again_after_a_break() -> None:
    """Who was not named for an answer has come into sight with the next that names them."""
    answers = Answers()
    answers.kept(ALICE, BOB, position=1)
    answers.kept(ALICE, position=2)
    answers.kept(ALICE, BOB, position=3)
    assert answers.named_since(ALICE, BOB) == 3


def test_seeing_all() -> None:
    """A viewer of all sees everybody since the first answer that said so, without a break."""
    answers = Answers()
    answers.kept(ALICE, BOB, position=1)
    answers.kept(ALICE, BOB, position=2, sees_all=ALL)
    answers.kept(ALICE, position=3, sees_all=ALL)
    assert answers.viewers_of_all() == {ALICE: ALL}
    assert answers.named_since(ALICE, DORA) == 2
    answers.kept(ALICE, position=4)
    assert (answers.viewers_of_all(), answers.named_since(ALICE, DORA)) == ({}, None)
    answers.kept(ALICE, position=5, sees_all=ALL)
    assert answers.named_since(ALICE, DORA) == 5


def test_named_before_seeing_all() -> None:
    """Who was named before the viewer saw all has been in sight since then."""
    answers = Answers()
    answers.kept(ALICE, BOB, position=1)
    answers.kept(ALICE, BOB, position=2, sees_all=ALL)
    assert [answers.named_since(ALICE, user) for user in (BOB, CHARLIE)] == [1, 2]


def test_forgetting() -> None:
    """What is forgotten leaves nothing behind; forgetting twice is harmless."""
    answers = Answers()
    answers.kept(ALICE, BOB, sees_all=ALL)
    answers.kept(CHARLIE, BOB)
    answers.forget(ALICE)
    answers.forget(ALICE)
    assert (list(answers.named_for(ALICE)), answers.viewers_of_all()) == ([], {})
    assert (answers.viewers_of(BOB), answers.asked_at(ALICE)) == ({CHARLIE}, None)


def test_age() -> None:
    """Answers are known by their age: whose are from before an instant, and the oldest."""
    answers = Answers()
    answers.kept(ALICE, now=1000)
    answers.kept(BOB, now=2000)
    answers.kept(CHARLIE, now=3000)
    assert answers.asked_before(Timestamp(2000)) == [ALICE]
    assert answers.asked_before(Timestamp(2001)) == [ALICE, BOB]
    assert answers.oldest() == 1000


def test_whom_an_answer_names_no_more() -> None:
    """An answer says whom it names no more, of those that the last one named."""
    answers = Answers()
    assert not answers.keep(ALICE, Interest({BOB: (ONE,), DORA: (OTHER,)}), P1, NOW)
    ended = answers.keep(ALICE, Interest({DORA: (OTHER,)}), P1, NOW)
    assert ended == NoLongerNamed({BOB})
    assert not answers.keep(ALICE, Interest({DORA: (OTHER,)}), P1, NOW)


def test_a_lost_answer_says_nothing_of_whom_its_module_named() -> None:
    """Whom a module named whose answer is lost has not ended, until the module answers again."""
    answers = Answers()
    answers.keep(ALICE, Interest({BOB: (ONE,), DORA: (OTHER,)}), P1, NOW)
    lost = Interest({}, (), frozenset({"One"}))
    assert answers.keep(ALICE, lost, P1, NOW) == NoLongerNamed({DORA})
    assert answers.named_for(ALICE) == set()
    assert not answers.keep(ALICE, lost, P1, NOW)
    assert answers.keep(ALICE, Interest({}), P1, NOW) == NoLongerNamed({BOB})


def test_who_saw_everybody() -> None:
    """Who saw everybody does so no more once each module that said so has answered otherwise."""
    answers = Answers()
    answers.keep(ALICE, Interest({}, (AllUsers("One"), AllUsers("Other"))), P1, NOW)
    for lost in ("One", "Other", "One"):
        assert not answers.keep(ALICE, Interest({}, (), frozenset({lost})), P1, NOW)
        answers.keep(ALICE, Interest({}, (AllUsers("One"), AllUsers("Other"))), P1, NOW)
    assert answers.keep(ALICE, Interest({BOB: (ONE,)}), P1, NOW) == NoLongerNamed(
        set(), all_users=True
    )


def test_a_lost_answer_says_nothing_of_what_others_said_of_everybody() -> None:
    """Who saw everybody by one module does so no more, though another module's answer is lost."""
    answers = Answers()
    answers.keep(ALICE, Interest({}, (AllUsers("One"),)), P1, NOW)
    ended = answers.keep(ALICE, Interest({}, (), frozenset({"Other"})), P1, NOW)
    assert ended == NoLongerNamed(set(), all_users=True)


def test_an_answer_that_was_forgotten() -> None:
    """Of whom a forgotten answer named it is not known when that ended; after a swap as well."""
    answers = Answers()
    answers.kept(ALICE, BOB)
    answers.kept(CHARLIE, BOB)
    answers.forget(ALICE)
    answers.clear()
    for viewer in (ALICE, CHARLIE):
        assert answers.keep(viewer, Interest({}), P1, NOW) == NoLongerNamed({BOB}, is_stale=True)
