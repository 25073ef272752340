"""Sliding sync from another homeserver, with presence as an extension."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.http import PendingRequest, Response
from tests.homeserver.upstream.front import LOBBY, Front, front
from tests.homeserver.upstream.small import SLIDING_SYNC

ALICE, BOB = "@alice:demo", "@bob:demo"
UNSTABLE, STABLE = SLIDING_SYNC
TOKEN = "token-alice-PHONE"
PRESENCE = {"presence": {"enabled": True}}


class Slider:
    """A client of alice's that slides, at one of the paths."""

    def __init__(self, door: Front, path: str = UNSTABLE, **body: Any) -> None:
        self.door = door
        self.token = TOKEN if TOKEN in door.small.devices else door.small.log_in("alice")
        self.path = path
        self.body = {"conn_id": "main", "lists": {"all": {"ranges": [[0, 9]]}}, **body}
        self.pos: str | None = None
        #: What stands beside the position.
        self.more: dict[str, str] = {}

    def begin(self, timeout: int = 30_000, **body: Any) -> PendingRequest:
        """Send a poll, whose body has *body*, too."""
        given: dict[str, Any] = {"timeout": timeout, **self.more}
        if self.pos is not None:
            given["pos"] = self.pos
        content, query = self.body | body, None
        if self.path == STABLE:
            content |= given
        else:
            query = {name: str(value) for name, value in given.items()}
        http = self.door.server.http
        return http.begin("POST", self.path, token=self.token, query=query, json=content)

    async def polls(self, **body: Any) -> PendingRequest:
        """Send a poll, and return once the server waits."""
        poll = self.begin(**body)
        await poll.waiting()
        return poll

    async def response(self, poll: PendingRequest) -> Response:
        """Return the response, which comes without that any time passes."""
        await poll.waiting()
        assert poll.answered, "the poll waits on"
        return await poll.response()

    async def answer(self, poll: PendingRequest) -> Any:
        """Return the answer, and go on from there."""
        content = (await self.response(poll)).json
        self.pos = content["pos"]
        return content

    async def quiet(self) -> None:
        """Take all that there is."""
        self.pos = None
        told = [(await self.answer(self.begin(0)))["extensions"] for _ in range(3)]
        assert "presence" not in told[-1]


@pytest.fixture(params=SLIDING_SYNC)
async def alice(request: pytest.FixtureRequest, door: Front, bob: Client) -> Slider:
    """A client of alice's that wants presence, and knows everything."""
    alice = Slider(door, request.param, extensions=PRESENCE)
    await alice.quiet()
    return alice


def shown(content: Any) -> dict[str, str]:
    """Return the status messages that an answer tells, by user."""
    events = content["extensions"].get("presence", {"events": []})["events"]
    return {it["sender"]: it["content"].get("status_msg", "") for it in events}


def asked(door: Front) -> list[Any]:
    """Return what the homeserver was asked: what is ours of each request, and its other body."""
    found = []
    for it in door.small.asked:
        if it.path in SLIDING_SYNC:
            body = msgspec.json.decode(it.body)
            given = body if it.path == STABLE else it.query
            found.append({name: str(given[name]) for name in OURS if name in given})
    return found


OURS = ("pos", "timeout", "set_presence")


def upstream(pos: str | None) -> str:
    """Return the homeserver's part of a position."""
    assert pos is not None
    return pos.rpartition("~")[0]


async def test_rooms_and_presence(alice: Slider, bob: Client) -> None:
    """A first answer is the homeserver's, with all presence in it and our part in the position."""
    await bob.set_status("online", "brb")
    alice.pos = None
    content = await alice.answer(alice.begin())
    [event] = [it for it in content["extensions"]["presence"]["events"] if it["sender"] == BOB]
    assert event["content"] == {
        "presence": "online", "status_msg": "brb", "last_active_ago": 0, "currently_active": True,
    }  # fmt: skip
    del content["extensions"]["presence"]
    assert (upstream(content.pop("pos"))[-6:], set(content.pop("rooms"))) == ("s2~2.2", {LOBBY})
    assert content == {
        "lists": {"all": {"count": 1}},
        "extensions": {"to_device": {"next_batch": "1"}},
    }


async def test_presence_answers_at_once_and_cancels_nothing(
    door: Front, alice: Slider, bob: Client
) -> None:
    """A change of presence is told alone, with the homeserver's position as it was."""
    before = upstream(alice.pos)
    door.small.asked.clear()
    for text in ("a", "b", "c"):
        poll = await alice.polls()
        assert not poll.answered
        await bob.set_status("online", text)
        content = await alice.answer(poll)
        assert shown(content) == {BOB: text}
        assert upstream(content.pop("pos")) == before
        del content["extensions"]["presence"]
        assert content == {"lists": {}, "rooms": {}, "extensions": {}}
    poll = await alice.polls()
    assert asked(door) == [{"pos": before, "timeout": "29800", "set_presence": "offline"}]
    door.small.say(LOBBY, "hello")
    assert set((await alice.answer(poll))["rooms"]) == {LOBBY}
    assert upstream(alice.pos) != before


async def test_an_answer_that_nobody_took(door: Front, alice: Slider) -> None:
    """A client that loses an answer gets it with the next poll, and again if it repeats that."""
    poll = await alice.polls()
    await poll.go_away()
    door.small.say(LOBBY, "hello")
    await door.server.settled()
    before = alice.pos
    for _ in range(3):
        alice.pos = before
        content = await alice.answer(alice.begin())
        [event] = content["rooms"][LOBBY]["timeline"]
        assert event["content"] == {"body": "hello"}
    poll = await alice.polls()
    assert not poll.answered


@pytest.mark.parametrize("other", [{"lists": {}}, {"timeout": 0}])
async def test_another_request_of_the_connection(
    door: Front, alice: Slider, other: dict[str, Any]
) -> None:
    """An answer is not kept once the homeserver has forgotten its position."""
    poll = await alice.polls()
    await poll.go_away()
    door.small.say(LOBBY, "hello")
    await door.server.settled()
    before = alice.pos
    await alice.response(alice.begin(**other))
    alice.pos = before
    await alice.answer(alice.begin())
    poll = await alice.polls()
    assert not poll.answered


async def test_two_connections(door: Front, alice: Slider, bob: Client) -> None:
    """Connections of a device have positions of their own, in rooms and in presence."""
    other = Slider(door, alice.path, conn_id="other", extensions=PRESENCE)
    await other.quiet()
    polls = [(it, await it.polls()) for it in (alice, other)]
    await bob.set_status("online", "brb")
    assert [shown(await it.answer(poll)) for it, poll in polls] == [{BOB: "brb"}] * 2
    polls = [(it, await it.polls()) for it in (alice, other)]
    door.small.say(LOBBY, "hello")
    assert [set((await it.answer(poll))["rooms"]) for it, poll in polls] == [{LOBBY}] * 2


async def test_presence_that_is_not_asked_for(door: Front, bob: Client) -> None:
    """Such a client gets the homeserver's answers; it may ask later, and then gets everything."""
    alice = Slider(door)
    await bob.set_status("online", "brb")
    content = await alice.answer(alice.begin())
    assert (content["pos"][-6:], set(content["extensions"])) == ("s2~2.2", {"to_device"})
    poll = await alice.polls()
    await bob.set_status("online", "back")
    assert not poll.answered
    await poll.go_away()
    asking = await alice.answer(alice.begin(extensions=PRESENCE))
    assert shown(asking)[BOB] == "back"
    again = await alice.answer(alice.begin(0))
    assert (again["pos"][-6:], shown(again)) == ("s2~2.2", {})


async def test_connected_while_it_polls(door: Front, alice: Slider, bob: Client) -> None:
    """A poll counts as one of `/sync`, with the presence that it sets."""
    assert (await bob.status_of(ALICE))["presence"] == "online"
    for said in ("unavailable", "online"):
        alice.more = {"set_presence": said}
        poll = await alice.polls()
        assert (await bob.status_of(ALICE))["presence"] == said
        await poll.go_away()
    await door.server.advance(minutes=2)
    assert (await bob.status_of(ALICE))["presence"] == "offline"
    alice.more = {"set_presence": "offline"}
    await alice.polls()
    assert (await bob.status_of(ALICE))["presence"] == "offline"
    alice.more = {"set_presence": "asleep"}
    refused = await alice.response(alice.begin())
    assert (refused.status, refused.json["errcode"]) == (400, "M_INVALID_PARAM")


async def test_refusals_come_as_they_are(door: Front, alice: Slider) -> None:
    """An unknown position, a limit and a log-out reach the client unchanged."""
    alice.pos = f"99/s1~{str(alice.pos).rpartition('~')[2]}"
    unknown = await alice.response(alice.begin())
    assert (unknown.status, unknown.json) == (
        400, {"errcode": "M_UNKNOWN_POS", "error": "Unknown position"},
    )  # fmt: skip
    limited = {"errcode": "M_LIMIT_EXCEEDED", "error": "slow", "retry_after_ms": 7}
    door.small.instead[alice.path] = 429, limited
    answer = await alice.response(alice.begin())
    assert (answer.status, answer.json) == (429, limited)
    del door.small.instead[alice.path]
    door.small.log_out(alice.token)
    for _ in range(2):
        refused = await alice.response(alice.begin())
        assert (refused.status, refused.json["soft_logout"]) == (401, True)


async def test_the_homeserver_is_away(door: Front, alice: Slider, bob: Client) -> None:
    """A poll waits on, presence goes on, and at its end the client keeps its position."""
    poll = await alice.polls()
    door.pipe.cut()
    await bob.set_status("online", "brb")
    assert shown(await alice.answer(poll)) == {BOB: "brb"}
    before, poll = alice.pos, await alice.polls(timeout=5_000)
    await door.server.advance(seconds=5)
    expected: dict[str, Any] = {"pos": before, "lists": {}, "rooms": {}, "extensions": {}}
    assert await alice.answer(poll) == expected
    poll = await alice.polls()
    door.pipe.is_down = False
    door.small.say(LOBBY, "hello")
    await door.server.advance(seconds=10)
    assert set((await alice.answer(poll))["rooms"]) == {LOBBY}


async def test_presence_of_the_homeserver(door: Front, alice: Slider) -> None:
    """What the homeserver says of presence never reaches a client, whether it asks or not."""
    event = {"type": "m.presence", "sender": BOB, "content": {"presence": "offline"}}
    door.small.leftover_extensions = {"presence": {"events": [event]}}
    for client in (alice, Slider(door, alice.path, conn_id="other")):
        assert set((await client.answer(client.begin(0)))["extensions"]) == {"to_device"}


async def sent(door: Front, token: str, path: str, body: bytes, query: str = "") -> Response:
    """Send a request as it is."""
    headers = {"host": "x", "authorization": f"Bearer {token}", "content-length": str(len(body))}
    return await door.server.http.send("POST", path + query, headers, body).response()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b'"presence"', b"\xff", b'{"\xff":1}', b"{" * 100_000, b"[" * 1_000,
        b'{"extensions":{"presence":{"enabled":true}}', b'{"extensions":' + b"[" * 200_000,
    ],
)  # fmt: skip
async def test_a_body_that_is_no_json_object(door: Front, body: bytes) -> None:
    """The homeserver judges it; where the position would stand in it, this server does."""
    token = door.small.log_in("alice")
    answer = await sent(door, token, UNSTABLE, body)
    assert (answer.status, answer.json) == (400, {"errcode": "M_NOT_JSON", "error": "no"})
    assert door.small.asked[-1].body == body
    answer = await sent(door, token, STABLE, body)
    assert (answer.status, answer.json["errcode"]) in ((400, "M_NOT_JSON"), (400, "M_BAD_JSON"))


@pytest.mark.parametrize(
    "extensions",
    [
        b"null", b"[]", b"1", b'{"presence":null}', b'{"presence":[true]}', b'{"presence":{}}',
        b'{"presence":{"enabled":1}}', b'{"presence":{"enabled":"true"}}',
        b'{"presence":{"enabled":false}}', b'{"presence":{"\\u0065nabled":null}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", SLIDING_SYNC)
async def test_what_does_not_enable_presence(door: Front, path: str, extensions: bytes) -> None:
    """Such a request goes on as it is, and gets the homeserver's answer without presence."""
    token = door.small.log_in("alice")
    body = b'{"extensions": %b, "more" : [7 ] }' % extensions
    answer = await sent(door, token, path, body)
    assert (answer.status, set(answer.json["extensions"])) == (200, {"to_device"})
    if path == UNSTABLE:
        assert door.small.asked[-1].body == body


@pytest.mark.parametrize(
    "member",
    [b'"pos":7', b'"timeout":-1', b'"timeout":"1"', b'"timeout":1e99', b'"set_presence":{}'],
)
async def test_parameters_in_the_body(door: Front, member: bytes) -> None:
    """A parameter of another kind is an error of the client's."""
    token = door.small.log_in("alice")
    answer = await sent(door, token, STABLE, b"{%b}" % member)
    assert (answer.status, answer.json["errcode"]) == (400, "M_BAD_JSON")


async def test_a_long_time_out(door: Front, alice: Slider) -> None:
    """A client that would wait for years waits for ten minutes."""
    poll = await alice.polls(timeout=10**18)
    assert not poll.answered
    assert asked(door)[-1]["timeout"] == "599800"


async def test_a_large_body(door: Front) -> None:
    """More than 256 KiB are refused, and the homeserver does not see them."""
    token = door.small.log_in("alice")
    body = b'{"a":"%b"}' % (b"x" * 256 * 1024)
    answer = await sent(door, token, UNSTABLE, body)
    assert (answer.status, answer.json["errcode"]) == (413, "M_TOO_LARGE")
    assert not [it for it in door.small.asked if it.path == UNSTABLE]


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b'{"pos":7}', b'{"rooms":{}}', b'{"pos":"1/s1","extensions":[]}', b'{"\xff":1}'],
)
async def test_an_answer_that_is_none(door: Front, answer: bytes) -> None:
    """What is no answer to sliding sync is a 502."""
    token = door.small.log_in("alice")
    door.small.instead[UNSTABLE] = 200, answer
    assert (await sent(door, token, UNSTABLE, b"{}")).status == 502


async def test_presence_switched_off(tmp_path: Path) -> None:
    """Everybody is offline, once, and the client gets the homeserver's own positions."""
    async with front(tmp_path) as door:
        for user_id in (ALICE, BOB):
            door.small.join(user_id, LOBBY)
        bob, alice = door.person("bob"), Slider(door, extensions=PRESENCE)
        await bob.sync()
        await bob.set_status("online", "brb")
        await alice.answer(alice.begin())
        door.configure("presence: {enabled: false}")
        await door.server.restart(bob)
        content = await alice.answer(alice.begin())
        events = content["extensions"]["presence"]["events"]
        assert {it["sender"]: it["content"]["presence"] for it in events}[BOB] == "offline"
        assert content["pos"][-6:] == "s2~2.2"
        poll = await alice.polls()
        assert not poll.answered


async def test_many_events(door: Front, alice: Slider) -> None:
    """A large answer passes byte for byte."""
    text = "ä" * 50_000
    door.small.say(LOBBY, text)
    door.small.say(LOBBY, text)
    timeline = (await alice.answer(alice.begin()))["rooms"][LOBBY]["timeline"]
    assert [it["content"]["body"] for it in timeline] == [text, text]
