"""Transactions that the homeserver answers: which presence is taken out of them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from starlette.types import Message, Receive, Scope, Send

from lamplighter.devtools.clock import FakeClock
from lamplighter.federation.inbound import SLICE, Inbound
from lamplighter.federation.policy import ServerPolicy
from lamplighter.ids import ServerName
from lamplighter.presence.events import RemoteUpdate
from lamplighter.web.federation.auth import MAX_BODY
from lamplighter.web.federation.passing import PassingTransactions
from tests.web.federation.peer import DAVE, ONLINE, THERE, presence

HEADER = 'X-Matrix origin="there.example",destination="here",key="ed25519:1",sig="abc"'
PATH = "/_matrix/federation/v1/send/7"


class Behind:
    """A homeserver, and the server in front of it."""

    def __init__(self, *, deny: Sequence[str] = ()) -> None:
        self.status, self.kind = 200, b"application/json"
        #: The bodies that came to the homeserver.
        self.bodies: list[bytes] = []
        self.heard: list[RemoteUpdate] = []
        #: How often presence had been taken in when the other server got its answer.
        self.before_answers: list[int] = []
        self.speakers: list[ServerName] = []
        self._clock = FakeClock()
        inbound = Inbound(self.heard.extend, self.speakers.append, self._clock, busy_allowed=True)
        self._front = PassingTransactions(
            self._homeserver, inbound, ServerName("here"), ServerPolicy(deny=deny)
        )
        self.reads_all = True
        #: Requests are answered once this many have come.
        self.waits_for = 0
        self._answers = asyncio.Event()

    def body(self, *edus: object, **others: object) -> bytes:
        """Return a transaction; without *edus*, one that Dave is online."""
        content = {"origin": THERE, "origin_server_ts": self._clock.now(), "pdus": []}
        return msgspec.json.encode(content | {"edus": list(edus) or [presence()]} | others)

    async def put(
        self,
        body: bytes,
        headers: Sequence[str] = (HEADER,),
        *,
        path: str = PATH,
        method: str = "PUT",
        parts: int = 2,
    ) -> None:
        """Send a transaction in some parts."""
        size = len(body) // parts + 1
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        messages: list[Message] = [
            {"type": "http.request", "body": it, "more_body": it is not chunks[-1]} for it in chunks
        ]
        scope = {
            "type": "http",
            "method": method,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"authorization", it.encode()) for it in headers],
        }

        async def receive() -> Message:
            return messages.pop(0)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.before_answers.append(len(self.heard))

        await self._front(scope, receive, send)

    async def _homeserver(self, _scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"] and self.reads_all
        self.bodies.append(body)
        if len(self.bodies) >= self.waits_for:
            self._answers.set()
        await self._answers.wait()
        headers = [(b"content-type", self.kind)]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


async def test_accepted() -> None:
    """The homeserver gets every byte; presence is taken in before the other server is answered."""
    behind = Behind()
    body = behind.body({"edu_type": "m.typing", "content": {}}, presence(), pdus=[{"a": 1.5}] * 50)
    await behind.put(b" " + body, parts=5)
    assert behind.bodies == [b" " + body]
    assert (behind.heard, behind.before_answers, behind.speakers) == ([ONLINE], [1], [THERE])


async def test_each_once() -> None:
    """A transaction that comes again goes to the homeserver again, and is not read again."""
    behind = Behind()
    for path in (PATH, PATH, PATH.replace("7", "%37"), PATH.replace("7", "8")):
        await behind.put(behind.body(), path=path)
    assert (len(behind.bodies), behind.heard) == (4, [ONLINE, ONLINE])


async def test_two_at_one_time() -> None:
    """Two transactions of one server are both taken in, the second after the first."""
    behind = Behind()
    behind.waits_for = 2
    entry = {"user_id": DAVE, "presence": "online"}
    many = behind.body(presence(*[entry] * (3 * SLICE)))
    await asyncio.gather(behind.put(many), behind.put(many, path=f"{PATH}8"))
    assert behind.before_answers == [3 * SLICE, 6 * SLICE]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, "application/json"), (429, "application/json"), (200, "text/html")]
)
async def test_not_accepted(status: int, kind: str) -> None:
    """What the homeserver refuses, or a proxy answers in its place, brings no presence."""
    behind = Behind()
    behind.status, behind.kind = status, kind.encode()
    await behind.put(behind.body())
    assert (len(behind.bodies), behind.heard) == (1, [])


async def test_not_read() -> None:
    """A transaction that the homeserver accepts before its end brings no presence."""
    behind = Behind()
    behind.reads_all = False
    body = behind.body()
    await behind.put(body + b" " * len(body))
    assert (len(behind.bodies), behind.heard) == (1, [])


_ONCE = HEADER.partition(",")[2]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [HEADER, HEADER],
        ["Bearer abc"],
        [HEADER.replace("there.example", "not a name")],
        [HEADER.replace("there.example", "evil.example")],
        [f"{HEADER},origin=evil.example"],
        [f"{HEADER},Origin=evil.example"],
        [f'{HEADER},more="a,origin=evil.example,b=c"'],
        [f'{HEADER},more="a\\",origin=\\"evil.example"'],
        [f'X-Matrix more=",origin=evil.example,b=",origin=there.example,{_ONCE}'],
    ],
)
async def test_another_origin(headers: Sequence[str]) -> None:
    """No presence comes from a server that is not plainly named, and once."""
    behind = Behind()
    await behind.put(behind.body(), headers)
    assert (len(behind.bodies), behind.heard) == (1, [])


@pytest.mark.parametrize("origin", ["here", "denied.example"])
async def test_not_admitted(origin: str) -> None:
    """No presence comes from this server's own name, or from a server that the operator denies."""
    behind = Behind(deny=["denied.example"])
    edu = presence({"user_id": f"@eve:{origin}", "presence": "online"})
    body = behind.body(edu, origin=origin)
    await behind.put(body, [HEADER.replace("there.example", origin)])
    assert (len(behind.bodies), behind.heard) == (1, [])


@pytest.mark.parametrize(
    "header",
    [
        HEADER.replace('"', ""),
        HEADER.replace(",", " , "),
        HEADER.replace('destination="here",', ""),
        f"{HEADER},later=yes",
    ],
)
async def test_forms_of_the_header(header: str) -> None:
    """Servers write the header in different ways, and may know more parameters."""
    behind = Behind()
    await behind.put(behind.body(), [header])
    assert behind.heard == [ONLINE]


async def test_users_of_others() -> None:
    """A server speaks for its own users only."""
    behind = Behind()
    entries = [{"user_id": it, "presence": "online"} for it in ("@bob:here", "@eve:evil.example")]
    await behind.put(behind.body(presence(*entries, {"user_id": DAVE, "presence": "online"})))
    assert behind.heard == [ONLINE]


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "evil.example"},
        {"origin": 5},
        {"origin_server_ts": "now"},
        {"edus": {"m.presence": 1}},
        {"edus": [presence()] * 101},
        {"edus": [presence(), [0] * 150_000]},
        {"edus": ["m.presence", 5, {"edu_type": "m.presence", "content": []}]},
    ],
)
async def test_malformed(changed: dict[str, Any]) -> None:
    """What is no transaction goes to the homeserver all the same, and brings no presence."""
    behind = Behind()
    await behind.put(behind.body(**changed))
    assert (len(behind.bodies), behind.heard) == (1, [])


@pytest.mark.parametrize("body", [b"not JSON m.presence", b"[" * 60_000, b'{"origin":"\xff"}'])
async def test_no_json(body: bytes) -> None:
    """Any bytes are passed on, and are no error."""
    behind = Behind()
    await behind.put(body)
    assert (behind.bodies, behind.heard) == ([body], [])


async def test_other_requests() -> None:
    """Only transactions are looked at."""
    behind = Behind()
    for method, path in (("POST", PATH), ("PUT", f"{PATH}/8"), ("PUT", "/_matrix/x")):
        await behind.put(behind.body(), method=method, path=path)
    assert (len(behind.bodies), behind.heard) == (3, [])


async def test_large() -> None:
    """A body of 5 MiB is read, and a larger one is only passed on."""
    behind = Behind()
    body = behind.body()
    await behind.put(body + b" " * (MAX_BODY - len(body)), parts=90)
    assert behind.heard == [ONLINE]
    larger = behind.body(presence({"user_id": DAVE, "presence": "offline"}))
    larger += b" " * (MAX_BODY - len(larger) + 1)
    await behind.put(larger, path=PATH.replace("7", "8"), parts=90)
    assert behind.bodies[1] == larger
    assert behind.heard == [ONLINE]


async def test_many_large() -> None:
    """At most 16 bodies of more than 64 KiB are held at one time; others are only passed on."""
    behind = Behind()
    behind.waits_for = 21
    large = behind.body() + b" " * 70_000
    sent = [behind.put(large, path=PATH.replace("7", str(number))) for number in range(20)]
    await asyncio.gather(*sent, behind.put(behind.body(), path=PATH.replace("7", "small")))
    assert len(behind.heard) == 17
    await behind.put(large, path=PATH.replace("7", "later"))
    assert len(behind.heard) == 18
