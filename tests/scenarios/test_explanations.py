"""Why a viewer sees a user, or what would have to change."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.ids import RoomId, UserId
from lamplighter.modules.api import ModuleApi
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.reasons import AllUsers, Module, Self, SharedRoom
from lamplighter.service.explanations import Explanation, ShownAs
from lamplighter.service.hints import HintKind
from tests.web.admin.operator import ADMIN_CONFIG, Operator

ALICE = UserId("@alice:demo")
BOB = UserId("@bob:demo")
CARL = UserId("@carl:demo")
REMOTE = UserId("@dora:elsewhere.org")
NOBODY = UserId("@nobody:demo")


class Shows:
    """Shows each viewer whom the configuration names, perhaps with other words; or fails."""

    def __init__(self, config: Mapping[str, Any], api: ModuleApi) -> None:
        self._shows: Mapping[str, Sequence[str]] = config.get("shows", {})
        self._says: str | None = config.get("says")
        self.fails = self.hangs = False
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(
        self, state_updates: Sequence[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        await self._misbehave()
        says = {} if self._says is None else {"status_msg": self._says}
        return {
            viewer: {
                state.copy_and_replace(**says) for state in state_updates if state.user_id in users
            }
            for viewer, users in self._shows.items()
            if users != "ALL"
        }

    async def _misbehave(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise RuntimeError("out of order")

    async def get_interested_users(self, user_id: str) -> set[str] | str:
        await self._misbehave()
        users = self._shows.get(user_id, ())
        return "ALL" if users == "ALL" else set(users)


class Rewords(Shows):
    """Does so under another name."""


async def explained(server: InMemoryServer, viewer: UserId, subject: UserId) -> Explanation:
    """Return why the viewer sees the subject, or does not."""
    return await server.lamplighter.admin.explanations.explain(viewer, subject)


def kinds(explanation: Explanation) -> list[HintKind]:
    """Return what the hints are about."""
    return [hint.kind for hint in explanation.hints]


async def test_oneself() -> None:
    """Each user sees themselves, for that reason alone."""
    async with running_server() as server:
        alice = await server.register("alice")
        await alice.set_status("online", "hello")
        explanation = await explained(server, ALICE, ALICE)
    assert (explanation.answer.reasons, explanation.hints) == ((Self(),), ())
    assert explanation.answer.seen == explanation.answer.actual
    assert explanation.answer.showing is ShownAs.AS_IT_IS


async def test_a_shared_room() -> None:
    """A shared room is a reason, by ID and by name."""
    async with running_server() as server:
        alice, bob = [await server.register(name) for name in ("alice", "bob")]
        room = await alice.create_room(name="The hall")
        other = await alice.create_room()
        for room_id in (room, other):
            await bob.join(room_id)
        await bob.set_status("online")
        explanation = await explained(server, ALICE, BOB)
    assert explanation.answer.sees
    assert set(explanation.answer.reasons) == {SharedRoom(RoomId(it)) for it in (room, other)}
    assert explanation.room_names == {room: "The hall", other: None}
    assert explanation.hints == ()


async def test_what_would_have_to_change_without_modules() -> None:
    """Strangers see nothing of each other, and would if they shared a room or a module said so."""
    async with running_server() as server:
        await server.register("alice")
        bob = await server.register("bob")
        await bob.set_status("online")
        explanation = await explained(server, ALICE, BOB)
    assert not explanation.answer.sees
    assert kinds(explanation) == [HintKind.NO_SHARED_ROOM, HintKind.NO_MODULE]


async def test_an_excluded_room_is_named(tmp_path: Path) -> None:
    """A hint names the room that the two share and that does not count."""
    async with running_server(data_dir=tmp_path) as server:
        alice, bob = [await server.register(name) for name in ("alice", "bob")]
        room = await alice.create_room(name="Announcements")
        await bob.join(room)
    exclude = f"routing: {{exclude_rooms: ['{room}']}}"
    async with running_server(data_dir=tmp_path, config=exclude) as server:
        explanation = await explained(server, ALICE, BOB)
    assert not explanation.answer.sees
    assert [(hint.kind, hint.rooms) for hint in explanation.hints] == [
        (HintKind.NEVER_HEARD_OF, ()),
        (HintKind.EXCLUDED_ROOMS, (room,)),
        (HintKind.NO_SHARED_ROOM, ()),
        (HintKind.NO_MODULE, ()),
    ]
    assert explanation.room_names == {room: "Announcements"}


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("largest_room: 2", "routing.largest_room is 2"),
        ("rooms: direct", "routing.rooms is direct"),
    ],
)
async def test_a_large_room_is_named(key: str, why: str) -> None:
    """A hint names the shared room that has too many members, with their number and the limit."""
    async with running_server(config=f"routing: {{{key}}}") as server:
        alice, bob, carl = [await server.register(name) for name in ("alice", "bob", "carl")]
        room = await server.room(alice, bob, carl)
        await bob.set_status("online")
        explanation = await explained(server, ALICE, BOB)
    assert not explanation.answer.sees
    assert kinds(explanation) == [
        HintKind.LARGE_ROOM,
        HintKind.NO_SHARED_ROOM,
        HintKind.NO_MODULE,
    ]
    hint = explanation.hints[0]
    assert (hint.text, hint.rooms) == (f"They share {room}, which has 3 members: {why}.", (room,))


async def test_a_room_that_was_large() -> None:
    """A hint on a room that is not yet small enough to count again says when it will be."""
    async with running_server(config="routing: {largest_room: 10}") as server:
        people = [await server.register(name) for name in ("alice", "bob", *"cdefghijk")]
        room = await server.room(*people)
        await people[-1].leave(room)
        explanation = await explained(server, ALICE, BOB)
    assert [it.text for it in explanation.hints if it.kind is HintKind.LARGE_ROOM] == [
        f"They share {room}, which has 10 members: routing.largest_room is 10; "
        "it had more, and counts again with 9."
    ]


async def test_rooms_that_do_not_count() -> None:
    """If no room counts, a hint says so, with the rooms that the two users share."""
    async with running_server(config="routing: {shared_rooms: false}") as server:
        alice, bob = [await server.register(name) for name in ("alice", "bob")]
        room = await server.room(alice, bob)
        await bob.set_status("online")
        explanation = await explained(server, ALICE, BOB)
    assert not explanation.answer.sees
    assert kinds(explanation) == [HintKind.ROOMS_DO_NOT_COUNT, HintKind.NO_MODULE]
    assert explanation.hints[0].rooms == (room,)
    assert explanation.room_names == {room: None}


async def test_a_module_is_a_reason() -> None:
    """A module that names the subject is a reason, by its name; other viewers get a hint."""
    config = {"shows": {ALICE: [BOB]}}
    async with running_server([(Shows, config)]) as server:
        clients = [await server.register(name) for name in ("alice", "bob", "carl")]
        await clients[1].set_status("online")
        named = await explained(server, ALICE, BOB)
        stranger = await explained(server, CARL, BOB)
    assert named.answer.reasons == (Module("Shows"),)
    assert kinds(stranger) == [HintKind.NO_SHARED_ROOM, HintKind.NOT_NAMED]
    assert stranger.hints[1].modules == ("Shows",)


async def test_all_users_is_a_reason() -> None:
    """A viewer of all sees even users who were never heard of, and a hint says that they are."""
    async with running_server([(Shows, {"shows": {ALICE: "ALL"}})]) as server:
        for name in ("alice", "bob"):
            await server.register(name)
        bob = await explained(server, ALICE, BOB)
        nobody = await explained(server, ALICE, NOBODY)
    assert (bob.answer.reasons, kinds(bob)) == ((AllUsers("Shows"),), [HintKind.NEVER_HEARD_OF])
    assert kinds(nobody) == [HintKind.UNKNOWN_SUBJECT]


async def test_altered_and_withheld() -> None:
    """The answer has the altered state that the viewer sees; none while the module fails."""
    config = {"shows": {ALICE: [BOB]}, "says": "at work"}
    async with running_server([(Shows, config)]) as server:
        alice, bob = [await server.register(name) for name in ("alice", "bob")]
        await server.room(alice, bob)
        await bob.set_status("online", "at the beach")
        altered = await explained(server, ALICE, BOB)
        with capture_logs():
            server.module(Shows).fails = True
            withheld = await explained(server, ALICE, BOB)
    assert altered.answer.showing is ShownAs.ALTERED
    assert altered.answer.seen is not None
    messages = (altered.answer.seen.status_msg, altered.answer.actual.status_msg)
    assert messages == ("at work", "at the beach")
    assert altered.answer.modules == ("Shows",)
    assert withheld.answer.showing is ShownAs.WITHHELD
    assert kinds(withheld) == [HintKind.WITHHELD, HintKind.MODULE_FAILED]


async def test_a_module_that_is_paused() -> None:
    """Hints name a module that failed, and a module that is paused."""
    async with running_server([(Shows, {"shows": {ALICE: [BOB]}})]) as server:
        _, bob = [await server.register(name) for name in ("alice", "bob")]
        with capture_logs():
            server.module(Shows).fails = True
            await bob.set_status("online")
            failed = await explained(server, ALICE, BOB)
            server.module(Shows).hangs = True
            for word in "abcde":
                await bob.set_status("online", word)
            await server.advance(seconds=5)
            paused = await explained(server, ALICE, BOB)
    assert HintKind.MODULE_FAILED in kinds(failed)
    assert HintKind.MODULE_PAUSED in kinds(paused)


async def test_a_module_that_failed_to_name_anybody() -> None:
    """A lost answer is missing from the explanations as long as it is cached."""
    async with running_server([(Shows, {"shows": {ALICE: [BOB]}})]) as server:
        for name in ("alice", "bob"):
            await server.register(name)
        server.module(Shows).fails = True
        with capture_logs():
            await explained(server, ALICE, BOB)
        server.module(Shows).fails = False
        lost = await explained(server, ALICE, BOB)
        server.clock.advance(seconds=60)
        found = await explained(server, ALICE, BOB)
    assert (lost.answer.sees, HintKind.MODULE_FAILED in kinds(lost)) == (False, True)
    assert (found.answer.sees, kinds(found)) == (True, [HintKind.NEVER_HEARD_OF])


async def test_doing_what_a_hint_says() -> None:
    """An operator who does what the hints say makes the user visible, by a room or by a module."""
    modules = [(Shows, {"shows": {CARL: [BOB]}})]
    async with running_server(modules, config=ADMIN_CONFIG) as server:
        alice, bob, _ = [await server.register(name) for name in ("alice", "bob", "carl")]
        await bob.set_status("online")
        assert HintKind.NO_SHARED_ROOM in kinds(await explained(server, ALICE, BOB))
        await server.room(alice, bob)
        assert (await explained(server, ALICE, BOB)).answer.sees
        module = server.module(Shows)
        module.hangs = True
        with capture_logs():
            for word in "abcde":
                await bob.set_status("online", word)
            await server.advance(seconds=5)
            assert HintKind.MODULE_PAUSED in kinds(await explained(server, CARL, BOB))
        module.hangs = False
        await Operator(server.http).post("/modules/Shows/reset")
        assert (await explained(server, CARL, BOB)).answer.sees


@pytest.mark.parametrize("others_first", [True, False])
async def test_one_module_alters_and_another_passes_on(others_first: bool) -> None:
    """The answer names the module that altered the state, not one that passes it on."""
    passing, altering = (Shows, {"shows": {ALICE: [BOB]}}), (Rewords, {**OTHERWISE, "says": "away"})
    modules = [passing, altering] if others_first else [altering, passing]
    async with running_server(modules) as server:
        _, bob = [await server.register(name) for name in ("alice", "bob")]
        await bob.set_status("online", "at the beach")
        answer = (await explained(server, ALICE, BOB)).answer
        with capture_logs():
            server.module(Rewords).fails = True
            withheld = (await explained(server, ALICE, BOB)).answer
    assert answer.seen is not None
    assert (answer.showing, answer.seen.status_msg) == (ShownAs.ALTERED, "away")
    assert (set(answer.modules), answer.altered_by) == ({"Shows", "Rewords"}, ("Rewords",))
    assert (withheld.showing, withheld.altered_by) == (ShownAs.WITHHELD, ("Rewords",))
    assert (answer.overruled, withheld.overruled) == ((), ())


async def test_two_modules_that_alter() -> None:
    """If two modules alter a user, the later module decides; answer and log name both, once."""
    modules = [(Shows, {**OTHERWISE, "says": "busy"}), (Rewords, {**OTHERWISE, "says": "away"})]
    async with running_server(modules) as server:
        _, bob = [await server.register(name) for name in ("alice", "bob")]
        with capture_logs() as logs:
            for word in "abc":
                await bob.set_status("online", word)
            answer = (await explained(server, ALICE, BOB)).answer
            server.clock.advance(minutes=1)
            await bob.set_status("online", "later")
    assert answer.seen is not None
    assert (answer.seen.status_msg, answer.altered_by, answer.overruled) == (
        "away",
        ("Rewords",),
        ("Shows",),
    )
    conflict = {"decides": "Rewords", "overruled": "Shows", "viewer": ALICE, "user": BOB}
    lines = [{key: line.get(key) for key in conflict} for line in logs if "decides" in line]
    assert lines == [conflict, conflict]
    assert [line.get("left_out", 0) > 0 for line in logs if "decides" in line] == [False, True]


OTHERWISE: Mapping[str, Any] = {"shows": {ALICE: [BOB]}}


async def test_people_who_are_not_there() -> None:
    """An unknown viewer sees nothing, whatever modules say; a hint names an unknown subject."""
    async with running_server([(Shows, {"shows": {NOBODY: "ALL"}})]) as server:
        await server.register("alice")
        viewer = await explained(server, NOBODY, ALICE)
        subject = await explained(server, ALICE, NOBODY)
    assert not viewer.answer.sees
    assert kinds(viewer)[0] is HintKind.UNKNOWN_VIEWER
    assert kinds(subject)[0] is HintKind.UNKNOWN_SUBJECT


async def test_presence_that_is_off() -> None:
    """Without presence nobody sees anybody, and the only hint says so."""
    async with running_server(config="presence: {enabled: false}") as server:
        await server.register("alice")
        explanation = await explained(server, ALICE, ALICE)
        pages = server.lamplighter.admin.explanations
        lists = [await pages.sees(ALICE, None, 9), await pages.seen_by(ALICE, None, 9)]
    assert (explanation.answer.sees, kinds(explanation)) == (False, [HintKind.PRESENCE_DISABLED])
    assert [list(page.answers) for page in lists] == [[], []]


async def test_a_viewer_of_another_server(tmp_path: Path) -> None:
    """A user of another server sees only the users whom modules send there."""
    config = {"shows": {REMOTE: [BOB, "@eve:third.org"]}}
    federation = "federation: {enabled: true}"
    async with running_server([(Shows, config)], config=federation, data_dir=tmp_path) as server:
        bob = await server.register("bob")
        await bob.set_status("online")
        eve = UserId("@eve:third.org")
        server.lamplighter.core.federated.remote_updates([RemoteUpdate(eve, Presence.ONLINE)])
        sent = await explained(server, REMOTE, BOB)
        foreign = await explained(server, REMOTE, eve)
        page = await server.lamplighter.admin.explanations.seen_by(BOB, None, 10)
    assert (sent.answer.reasons, kinds(sent)) == ((Module("Shows"),), [HintKind.VIEWER_ELSEWHERE])
    assert not foreign.answer.sees
    assert HintKind.NOT_OURS_TO_TELL in kinds(foreign)
    assert [it.viewer for it in page.answers] == [BOB, REMOTE]


async def test_what_is_altered_for_another_user_there(tmp_path: Path) -> None:
    """A server is sent one state of each user: what a module alters, or withholds, for one of its
    users, the others see so too, and are said to.
    """
    far = UserId("@carl:third.org")
    modules: list[tuple[type, dict[str, Any]]] = [
        (Shows, {"shows": {REMOTE: [BOB, ALICE], far: [BOB]}}),
        (Rewords, {"shows": {"@finn:elsewhere.org": [BOB]}, "says": "away"}),
    ]
    federation = "federation: {enabled: true}"
    async with running_server(modules, config=federation, data_dir=tmp_path) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        for person in (alice, bob):
            await person.set_status("online", "here")
        answers = [await explained(server, viewer, BOB) for viewer in (REMOTE, far)]
        page = await server.lamplighter.admin.explanations.sees(REMOTE, None, 10)
        server.module(Rewords).fails = True
        with capture_logs():
            withheld = await explained(server, REMOTE, BOB)
    altered, as_it_is = [
        (it.answer.showing, it.answer.seen and it.answer.seen.status_msg, it.answer.modules)
        for it in answers
    ]
    assert altered == (ShownAs.ALTERED, "away", ("Rewords",))
    assert as_it_is == (ShownAs.AS_IT_IS, "here", ("Shows",))
    assert answers[0].answer.reasons == (Module("Shows"),)
    assert [(it.subject, it.showing) for it in page.answers] == [
        (ALICE, ShownAs.AS_IT_IS),
        (BOB, ShownAs.ALTERED),
    ]
    assert (withheld.answer.showing, withheld.answer.modules) == (ShownAs.WITHHELD, ("Rewords",))


@pytest.mark.parametrize(
    "config", ["", "federation: {enabled: true, deny_servers: ['elsewhere.org']}"]
)
async def test_a_server_that_is_told_nothing(config: str, tmp_path: Path) -> None:
    """Users of a server that is sent nothing see nobody, whatever modules say."""
    modules = [(Shows, {"shows": {REMOTE: [BOB]}})]
    async with running_server(modules, config=config, data_dir=tmp_path) as server:
        bob = await server.register("bob")
        await bob.set_status("online")
        explanation = await explained(server, REMOTE, BOB)
        page = await server.lamplighter.admin.explanations.seen_by(BOB, None, 10)
    assert not explanation.answer.sees
    assert HintKind.NOTHING_IS_SENT in kinds(explanation)
    assert [it.viewer for it in page.answers] == [BOB]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_lists_come_in_parts(limit: int) -> None:
    """Both lists come in pages of any size, each user once."""
    async with running_server([(Shows, {"shows": {CARL: [ALICE, BOB]}})]) as server:
        alice, bob, carl = [await server.register(name) for name in ("alice", "bob", "carl")]
        gone = await server.register("bert")
        await gone.log_out()
        await server.lamplighter.directory.deactivate(gone.user_id)
        room = await server.room(alice, bob)
        for person in (alice, bob, carl):
            await person.set_status("online")
        pages = server.lamplighter.admin.explanations
        seen, viewers, after = list[tuple[Any, ...]](), list[tuple[Any, ...]](), None
        while True:
            page = await pages.sees(CARL, after, limit)
            seen += [(it.subject, it.reasons) for it in page.answers]
            if (after := page.next_from) is None:
                break
        while True:
            page = await pages.seen_by(ALICE, after, limit)
            viewers += [(it.viewer, it.reasons) for it in page.answers]
            if (after := page.next_from) is None:
                break
    module = (Module("Shows"),)
    assert seen == [(ALICE, module), (BOB, module), (CARL, (Self(),))]
    assert viewers == [(ALICE, (Self(),)), (BOB, (SharedRoom(RoomId(room)),)), (CARL, module)]
