"""Sending to many destinations: when, and how many at once."""

import asyncio
from collections.abc import Mapping

import pytest

from lamplighter.clock import Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns
from lamplighter.errors import RemoteRefused, RemoteUnreachable, StorageUnavailable
from lamplighter.federation.policy import ServerPolicy
from lamplighter.federation.sender import DestinationStatus, FederationSender, SenderSettings
from lamplighter.ids import ServerName, UserId
from lamplighter.ports import BackoffState, Json
from lamplighter.presence.state import Presence, UserPresenceState

HERE = ServerName("demo")
THERE = ServerName("there.example")


class Network:
    """Servers that answer, refuse, are dead, or never answer; and the states sent to each."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.silent: set[str] = set()
        self.refusing: set[str] = set()
        self.sent: list[tuple[str, list[str | None]]] = []
        self.paths: list[str] = []
        #: To which servers a request is under way.
        self.under_way: set[str] = set()

    async def request(self, destination: ServerName, method: str, path: str, content: Json) -> Json:
        assert destination not in self.under_way, "one transaction at a time"
        self.under_way.add(destination)
        try:
            return await self._answer(destination, path, content)
        finally:
            self.under_way.remove(destination)

    async def _answer(self, destination: str, path: str, content: Json) -> Json:
        if destination in self.silent:
            await asyncio.get_running_loop().create_future()
        if destination in self.dead:
            raise RemoteUnreachable(f"{destination} is dead")
        if destination in self.refusing:
            raise RemoteRefused(ServerName(destination), 500, None)
        self.paths.append(path)
        [edu] = content["edus"]
        self.sent.append((destination, [it.get("status_msg") for it in edu["content"]["push"]]))
        return {}


class Backoffs:
    """A `BackoffStore` in memory, which may fail."""

    def __init__(self, kept: dict[ServerName, BackoffState] | None = None) -> None:
        self.kept = kept or {}
        self.works = True

    async def load(self) -> Mapping[ServerName, BackoffState]:
        return dict(self.kept)

    async def save(self, server_name: ServerName, state: BackoffState | None) -> None:
        if not self.works:
            raise StorageUnavailable("the disk is full")
        if state is None:
            self.kept.pop(server_name, None)
        else:
            self.kept[server_name] = state


class Bench:
    """A sender with a `FakeClock`."""

    def __init__(
        self, store: Backoffs | None = None, settings: SenderSettings | None = None
    ) -> None:
        self.clock = FakeClock()
        self.network = Network()
        self.store = store or Backoffs()
        self.sender = FederationSender(
            server_name=HERE,
            clock=self.clock,
            request=self.network.request,
            policy=ServerPolicy(None, ["denied.example"]),
            store=self.store,
            random=lambda: 0.0,
            settings=settings or SenderSettings(),
        )

    def send(self, server_name: str, message: str, user: str = "bob") -> None:
        """Send a user's status message to a server."""
        offline = UserPresenceState.default(UserId(f"@{user}:demo"))
        state = offline.copy_and_replace(state=Presence.ONLINE, status_msg=message)
        self.sender.send(ServerName(server_name), [state])

    @property
    def destinations(self) -> dict[ServerName, BackoffState | None]:
        """The back-off of each destination."""
        return {
            it.server_name: BackoffState(it.failures, it.retry_ts) if it.retry_ts else None
            for it in self.sender.statuses()
        }

    async def advance(self, **duration: float) -> None:
        """Let time pass, and let its effects happen."""
        self.clock.advance(**duration)
        await turns(20)


async def test_one_window() -> None:
    """States of one window go together, once, only the newest of each user."""
    bench = Bench()
    bench.send(THERE, "one")
    await bench.advance(milliseconds=99)
    bench.send(THERE, "two")
    bench.send(THERE, "hello", user="alice")
    assert bench.network.sent == []
    await bench.advance(milliseconds=1)
    assert bench.network.sent == [(THERE, ["two", "hello"])]
    assert bench.destinations == {}


async def test_back_off_and_recovery() -> None:
    """The pauses for a dead server grow; when it is back, it gets the newest state, once."""
    bench = Bench()
    bench.network.dead.add(THERE)
    bench.send(THERE, "one")
    await bench.advance(milliseconds=100)
    first = BackoffState(1, Timestamp(bench.clock.now() + 1_000))
    assert bench.destinations == bench.store.kept == {THERE: first}
    bench.send(THERE, "two")
    await bench.advance(seconds=1)
    second = BackoffState(2, Timestamp(bench.clock.now() + 2_000))
    assert bench.destinations == bench.store.kept == {THERE: second}
    bench.network.dead.clear()
    bench.send(THERE, "three")
    await bench.advance(milliseconds=1_999)
    assert bench.network.sent == []
    await bench.advance(milliseconds=1)
    assert bench.network.sent == [(THERE, ["three"])]
    assert bench.destinations == bench.store.kept == {}


async def test_taking_back() -> None:
    """States that were taken back are not sent; later states are."""
    bench = Bench()
    bench.network.dead.add(THERE)
    bench.send(THERE, "one")
    await bench.advance(milliseconds=100)
    assert len(bench.sender.take_back()) == 1
    bench.network.dead.clear()
    await bench.advance(seconds=60)
    assert bench.network.sent == []
    bench.send(THERE, "two")
    await bench.advance(seconds=60)
    assert bench.network.sent == [(THERE, ["two"])]


async def test_withdrawing() -> None:
    """A state that was withdrawn from one server is not sent there, and nothing is remembered."""
    bench = Bench()
    bench.send(THERE, "one")
    bob = UserId("@bob:demo")
    assert bench.sender.withdraw(ServerName("other.example"), {bob}) == set()
    assert bench.sender.withdraw(THERE, {bob}) == {bob}
    await bench.advance(seconds=60)
    assert (bench.network.sent, bench.destinations) == ([], {})


async def test_ceasing() -> None:
    """What waits for a server to which another node sends, or is under way to it, is not sent; to
    others it is. If this node sends to the server again, it is one of one transaction at a time.
    """
    bench = Bench()
    other = "other.example"
    bench.network.silent.add(THERE)
    for server_name in (THERE, other):
        bench.send(server_name, "one")
        await bench.advance(milliseconds=100)
        bench.send(server_name, "two")
    bench.sender.cease(THERE.__eq__)
    assert bench.destinations == {ServerName(other): None}
    bench.network.silent.clear()
    bench.send(THERE, "three")
    await bench.advance(seconds=60)
    assert bench.network.sent == [(other, ["one"]), (other, ["two"]), (THERE, ["three"])]
    assert bench.destinations == {}


async def test_ceasing_in_the_lane() -> None:
    """A server that waits for a place is not sent what waits when another node sends to it."""
    bench = Bench(settings=SenderSettings(lane=1))
    bench.network.silent.add("other.example")
    for server_name in ("other.example", THERE):
        bench.send(server_name, "one")
        await bench.advance(milliseconds=100)
    bench.sender.cease(lambda _server_name: True)
    await bench.advance(seconds=60)
    assert (bench.network.sent, bench.destinations) == ([], {})
    bench.send(THERE, "two")
    await bench.advance(milliseconds=100)
    assert bench.network.sent == [(THERE, ["two"])]


async def test_ceasing_at_the_last_moment() -> None:
    """A request that is about to begin when another node sends to its server leaves its place in
    the lane to others.
    """
    bench = Bench(settings=SenderSettings(lane=1))
    bench.send(THERE, "one")
    bench.clock.advance(seconds=1)
    bench.sender.cease(THERE.__eq__)
    bench.send("other.example", "two")
    await bench.advance(seconds=1)
    assert bench.network.sent == [("other.example", ["two"])]


async def test_taking_over() -> None:
    """A server that did not answer the node that has sent to it until now is tried as late as
    there, however it had answered this node before.
    """
    bench = Bench()
    retry_at = Timestamp(bench.clock.now() + 60_000)
    bench.store.kept = {it: BackoffState(7, retry_at) for it in (THERE, ServerName("x.example"))}
    await bench.sender.take_over(THERE.__eq__)
    bench.send(THERE, "one")
    await bench.advance(seconds=59)
    assert bench.network.sent == []
    await bench.advance(seconds=1)
    assert bench.network.sent == [(THERE, ["one"])]
    assert bench.store.kept == {ServerName("x.example"): BackoffState(7, retry_at)}


@pytest.mark.parametrize(("pause", "heard_at", "tried_at"), [(4, None, 4), (3_600, 100, 130)])
async def test_after_a_restart(pause: int, heard_at: int | None, tried_at: int) -> None:
    """A back-off from before a restart holds after it.

    A server with a long pause is tried within 30 seconds of its own request.
    """
    retry_at = Timestamp(FakeClock().now() + pause * 1000)
    bench = Bench(Backoffs({THERE: BackoffState(20, retry_at)}))
    await bench.sender.start()
    bench.send(THERE, "one")
    if heard_at is not None:
        await bench.advance(seconds=heard_at)
        bench.sender.heard_from(THERE)
        bench.sender.heard_from(ServerName("unheard.of.example"))
    await bench.advance(seconds=tried_at - (heard_at or 0), milliseconds=-1)
    assert bench.network.sent == []
    await bench.advance(milliseconds=1)
    assert bench.network.sent == [(THERE, ["one"])]
    assert bench.destinations == bench.store.kept == {}


async def test_a_server_that_sends_and_never_answers() -> None:
    """A server that sends requests and never answers is tried at most four times in two minutes."""
    bench = Bench(Backoffs({THERE: BackoffState(20, Timestamp(FakeClock().now() + 3_600_000))}))
    await bench.sender.start()
    bench.network.dead.add(THERE)
    bench.send(THERE, "one")
    failures = []
    for _ in range(12):
        bench.sender.heard_from(THERE)
        await bench.advance(seconds=10)
        failures.append(bench.store.kept[THERE].failures - 20)
    assert failures == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]


async def test_a_full_disk() -> None:
    """The back-off of a server that answers with an error holds, even if it cannot be stored."""
    bench = Bench()
    bench.store.works = False
    bench.network.refusing.add(THERE)
    bench.send(THERE, "one")
    await bench.advance(milliseconds=100)
    assert bench.destinations == {THERE: BackoffState(1, Timestamp(bench.clock.now() + 1_000))}
    bench.network.refusing.clear()
    await bench.advance(seconds=1)
    assert bench.network.sent == [(THERE, ["one"])]


async def test_many_users() -> None:
    """More states than an EDU holds go in several transactions, each with an ID of its own."""
    bench = Bench()
    for number in range(120):
        bench.send(THERE, str(number), user=f"user{number}")
    await bench.advance(milliseconds=100)
    for _ in range(2):
        await bench.advance(milliseconds=0)
    assert [len(messages) for _, messages in bench.network.sent] == [50, 50, 20]
    assert len(set(bench.network.paths)) == 3


async def test_a_thousand_destinations() -> None:
    """Dead and silent servers do not delay working ones, and tasks and memory stay bounded."""
    settings = SenderSettings(lane=400, narrow_lane=40)
    bench = Bench(settings=settings)
    names = [f"s{number}.example" for number in range(1_000)]
    bench.network.dead.update(names[0::3])
    bench.network.silent.update(names[1::10])
    bench.network.silent -= bench.network.dead
    healthy = [it for it in names if it not in bench.network.dead | bench.network.silent]
    for message in ("one", "two", "three"):
        bench.network.sent.clear()
        for name in names:
            bench.send(name, message)
        await bench.advance(milliseconds=100)
        assert sorted(bench.network.sent) == sorted((name, [message]) for name in healthy)
        assert len(bench.network.under_way) <= settings.lane + settings.narrow_lane
        # A working server is removed as soon as it has all states.
        assert len(bench.destinations) == len(names) - len(healthy)
    await bench.sender.stop()
    assert len(bench.network.under_way) == 0


async def test_servers_that_are_no_destinations() -> None:
    """Nothing is sent to this server, to a denied server, and to more servers than the limit."""
    bench = Bench(settings=SenderSettings(destinations=2))
    for name in (HERE, "denied.example"):
        bench.send(name, "one")
    assert bench.clock.next_timer() is None
    for name in ("a.example", "b.example", "c.example"):
        bench.send(name, "one")
    assert set(bench.destinations) == {"a.example", "b.example"}


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("have_failed", [False, True])
async def test_lanes(width: int, have_failed: bool) -> None:
    """Each lane limits the requests under way; servers that have failed share the narrow lane."""
    lane, narrow_lane = (400, width) if have_failed else (width, 40)
    bench = Bench(settings=SenderSettings(lane=lane, narrow_lane=narrow_lane))
    names = [f"s{number}.example" for number in range(10)]
    bench.network.dead.update(names if have_failed else ())
    bench.network.silent.update(() if have_failed else names)
    for name in names:
        bench.send(name, "one")
    await bench.advance(milliseconds=100)
    if have_failed:
        bench.network.dead.clear()
        bench.network.silent.update(names)
        await bench.advance(seconds=1)
    assert len(bench.network.under_way) == width
    await bench.sender.stop()


async def test_how_destinations_are() -> None:
    """A status has the number of states and the back-off of each destination, sorted by name."""
    bench = Bench()
    bench.network.dead.add(THERE)
    bench.send(THERE, "one")
    await bench.advance(milliseconds=100)
    bench.send(THERE, "two")
    bench.send(THERE, "hello", user="alice")
    bench.send("another.example", "one")
    assert bench.sender.statuses() == [
        DestinationStatus(ServerName("another.example"), 1, False, 0, None),
        DestinationStatus(ServerName(THERE), 2, False, 1, Timestamp(bench.clock.now() + 1_000)),
    ]
