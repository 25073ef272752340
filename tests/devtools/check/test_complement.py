"""Whether the two callbacks agree."""

from dataclasses import replace

from lamplighter.devtools.check.complement import (
    Case,
    Disagreement,
    RoomRules,
    disagreements,
    finding_of,
    strangeness,
)
from lamplighter.devtools.check.findings import Callback, Kind, Place
from lamplighter.devtools.check.worlds import SimulatedRoom, World, state_of
from lamplighter.devtools.clock import START
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, ServerName, UserId
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes

ALICE, BOB, EVE, MALLORY = (
    UserId(f"@{name}") for name in ("alice:demo", "bob:demo", "eve:else.org", "mallory:else.org")
)
WORLD = World(ServerName("demo"), START, [ALICE, BOB, EVE, MALLORY])
STATE = state_of(BOB, 0, START)
TOLD, SHOWN = Kind.TOLD_NOT_SHOWN, Kind.SHOWN_NOT_TOLD
PLACES = {Callback.STATES: Place("m.py", 1), Callback.INTEREST: Place("m.py", 2)}


def _found(
    routes: dict[UserId, set[UserId]],
    interests: dict[UserId, CheckedInterest],
    *,
    world: World = WORLD,
    rooms: RoomRules = RoomRules(),  # noqa: B008 - it is frozen
) -> list[Disagreement]:
    sent = {
        viewer: {user: state_of(user, 0, START) for user in users}
        for viewer, users in routes.items()
    }
    asked = {ALICE: CheckedInterest(), **interests}
    return list(disagreements(world, rooms, [STATE], CheckedRoutes(sent), asked))


def _names(*users: UserId) -> CheckedInterest:
    return CheckedInterest(frozenset(users))


def test_agreement() -> None:
    """The callbacks agree if every user who is sent is named, or all are; altered states count."""
    altered = STATE.copy_and_replace(status_msg="secret")
    routes = CheckedRoutes({ALICE: {BOB: altered}})
    interests = {ALICE: _names(BOB)}
    assert list(disagreements(WORLD, RoomRules(), [STATE], routes, interests)) == []
    assert _found({}, {}) == []
    assert _found({ALICE: {BOB}}, {ALICE: CheckedInterest(all_users=True)}) == []


def test_disagreement() -> None:
    """Both kinds of disagreement are found, also about users whom nobody asked about."""
    assert _found({ALICE: {BOB}}, {}) == [Disagreement(TOLD, ALICE, BOB)]
    assert _found({}, {ALICE: _names(BOB)}) == [Disagreement(SHOWN, ALICE, BOB)]
    everybody = CheckedInterest(all_users=True)
    assert _found({}, {ALICE: everybody}) == [Disagreement(SHOWN, ALICE, BOB)]
    assert _found({ALICE: {EVE}}, {}) == [Disagreement(TOLD, ALICE, EVE)]
    assert _found({EVE: {BOB}}, {EVE: _names()}) == [Disagreement(TOLD, EVE, BOB)]


def test_who_was_not_asked_about() -> None:
    """A named user without a change is no disagreement."""
    assert _found({}, {ALICE: _names(EVE)}) == []


def test_pairs_that_do_not_matter() -> None:
    """A user and the same user, or two users of other servers, are not compared."""
    assert _found({BOB: {BOB}}, {BOB: _names()}) == []
    assert _found({EVE: {MALLORY}}, {EVE: _names()}) == []


def test_people_who_share_a_room() -> None:
    """Users who share a room are not compared, unless the room, or all rooms, do not count."""
    joined = SimulatedRoom(RoomId("!r:demo"), dict.fromkeys((ALICE, BOB), MemberState.JOIN))
    invited = replace(joined, members={ALICE: MemberState.JOIN, BOB: MemberState.INVITE})
    told = [Disagreement(TOLD, ALICE, BOB)]
    world = replace(WORLD, rooms=[joined])
    assert _found({ALICE: {BOB}}, {}, world=world) == []
    assert _found({ALICE: {BOB}}, {}, world=replace(WORLD, rooms=[invited])) == told
    assert _found({ALICE: {BOB}}, {}, world=world, rooms=RoomRules(shared_rooms=False)) == told
    excluded = RoomRules(excluded=frozenset({"!r:demo"}))
    assert _found({ALICE: {BOB}}, {}, world=world, rooms=excluded) == told


def test_sentences() -> None:
    """A finding says what the disagreement means, and names the callback with the gap."""

    def said(disagreement: Disagreement, number: int = 0, *others: UserId) -> tuple[str, int]:
        changes = [state_of(it, number, START) for it in (disagreement.user, *others)]
        found = finding_of(Case(WORLD, changes, disagreement), PLACES)
        assert found.place is not None
        return found.message, found.place.line

    assert said(Disagreement(TOLD, ALICE, BOB)) == (
        "@alice:demo is told when @bob:demo comes online, "
        "but a first sync in Synapse would not show @bob:demo",
        2,
    )
    assert said(Disagreement(SHOWN, ALICE, BOB), 4) == (
        "a first sync shows @bob:demo to @alice:demo, but Synapse would not tell @alice:demo "
        "when @bob:demo goes offline with the message “gone fishing”",
        1,
    )
    assert said(Disagreement(TOLD, EVE, BOB), 7, ALICE) == (
        "the server of @eve:else.org is told when @bob:demo becomes busy at the same moment as "
        "others, but in Synapse send_local_online_presence_to([@eve:else.org]) would not send it "
        "@bob:demo",
        2,
    )
    assert said(Disagreement(SHOWN, EVE, BOB), 2) == (
        "send_local_online_presence_to([@eve:else.org]) sends @bob:demo to the server of "
        "@eve:else.org, but Synapse would not tell it when @bob:demo becomes unavailable",
        1,
    )
    unasked = Case(WORLD, [STATE], Disagreement(TOLD, ALICE, EVE))
    assert finding_of(unasked, PLACES).message == (
        "@alice:demo is told when @eve:else.org has not changed, but somebody else has, "
        "but a first sync in Synapse would not show @eve:else.org"
    )


def test_what_is_easy_to_understand() -> None:
    """People of this server come first, and one change before many."""
    cases = [
        Case(WORLD, [STATE], Disagreement(TOLD, EVE, BOB)),
        Case(WORLD, [STATE, STATE], Disagreement(TOLD, ALICE, BOB)),
        Case(WORLD, [STATE], Disagreement(TOLD, ALICE, EVE)),
        Case(WORLD, [STATE], Disagreement(TOLD, ALICE, BOB)),
    ]
    assert sorted(cases, key=strangeness) == [cases[3], cases[1], cases[2], cases[0]]
