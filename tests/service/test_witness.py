"""Witnesses see everything, and none of them disturbs another."""

from collections.abc import Collection

from structlog.testing import capture_logs

from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import MembershipChange
from lamplighter.routing.plan import VisibleStates
from lamplighter.service.witness import FreshView, Published, Witness, Witnesses

ALICE = UserId("@alice:demo")
PUBLISHED = Published(StreamPosition(1), (), ())
VIEW = FreshView(ALICE, True, True, {}, VisibleStates({}, {}))
MOVED = MembershipChange(RoomId("!hall:demo"), ALICE, joined=True)


class Told(Witness):
    """Writes down what it is told; fails afterwards, if it is to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.heard: list[object] = []
        self._fails = fails

    def published(self, published: Published) -> None:
        self._hear(published)

    def viewed(self, view: FreshView) -> None:
        self._hear(view)

    def moved(self, change: MembershipChange) -> None:
        self._hear(change)

    def away(self, viewers: Collection[UserId]) -> None:
        self._hear(viewers)

    def _hear(self, what: object) -> None:
        self.heard.append(what)
        if self._fails:
            raise ZeroDivisionError


def tell_everything(witnesses: Witnesses) -> None:
    """Let everything happen once."""
    witnesses.published(PUBLISHED)
    witnesses.viewed(VIEW)
    witnesses.moved(MOVED)
    witnesses.away([ALICE])


def test_each_is_told_everything() -> None:
    """Each witness is told everything, in order, though another one fails; the log says which."""
    failing, other = Told(fails=True), Told()
    witnesses = Witnesses(failing, Witness())
    witnesses.add(other)
    with capture_logs() as logged:
        tell_everything(witnesses)
    assert failing.heard == other.heard == [PUBLISHED, VIEW, MOVED, [ALICE]]
    assert [line["event"] for line in logged] == ["an observer failed"] * 4


def test_looking_on_ends() -> None:
    """A witness is told nothing after its end; an observer is told only what is published."""
    first, second, seen = Told(), Told(), list[Published]()
    witnesses = Witnesses(second)
    ends = [witnesses.add(first), witnesses.observe(seen.append)]
    tell_everything(witnesses)
    for end in ends:
        end()
    tell_everything(witnesses)
    assert (len(first.heard), len(second.heard), seen) == (4, 8, [PUBLISHED])
