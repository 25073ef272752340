"""The parts of the service, wired as in a server, over a store and modules that a test controls."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Final

from lamplighter.cluster.local import LocalStream
from lamplighter.delivery.outbox import Update
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import DeviceId, RoomId, ServerName, StreamPosition, UserId
from lamplighter.metrics import Metrics
from lamplighter.ports import SavedPresence
from lamplighter.presence.changes import Change
from lamplighter.presence.events import StatusSet
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.room_sizes import RoomSizes
from lamplighter.service.background import Background
from lamplighter.service.core import Core, CorePorts
from lamplighter.service.settings import CoreSettings
from lamplighter.service.witness import Published
from tests.routing.callbacks import Act, answering

HERE: Final = ServerName("demo")
PHONE: Final = DeviceId("PHONE")
TIMEOUT: Final = timedelta(seconds=5)


class FakeStore:
    """Keeps presence in memory, as long as it works."""

    def __init__(self) -> None:
        self.saves: list[list[SavedPresence]] = []
        self.forgotten: list[UserId] = []
        self.works = True

    async def load(self) -> Sequence[SavedPresence]:
        return ()

    def save(self, states: Sequence[SavedPresence]) -> "asyncio.Future[None]":
        saving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self.works:
            saving.set_exception(StorageUnavailable("the disk is full"))
            return saving
        if states:
            self.saves.append(list(states))
        saving.set_result(None)
        return saving

    def forget(self, user_id: UserId) -> None:
        self.forgotten.append(user_id)

    async def settle(self) -> None:
        """Nothing is ever under way."""

    @property
    def messages(self) -> list[dict[str, str | None]]:
        """The status messages of each save, by user."""
        return [{it.user.state.user_id: it.user.state.status_msg for it in s} for s in self.saves]


class FakeOutgoing:
    """Writes down what goes to other servers."""

    def __init__(self) -> None:
        self.sent: list[tuple[ServerName, list[UserPresenceState]]] = []
        self.withdrawn: list[tuple[ServerName, AbstractSet[UserId]]] = []
        #: The servers to which another node sends.
        self.of_others: set[ServerName] = set()
        #: The servers that have sent a request.
        self.heard: list[ServerName] = []

    def send(self, server_name: ServerName, states: Sequence[UserPresenceState]) -> None:
        self.sent.append((server_name, list(states)))

    def take_back(self) -> AbstractSet[UserId]:
        sent, self.sent = self.sent, []
        return {UserId(state.user_id) for _, states in sent for state in states}

    def withdraw(self, server_name: ServerName, users: AbstractSet[UserId]) -> AbstractSet[UserId]:
        self.withdrawn.append((server_name, users))
        found = {it.user_id for name, states in self.sent if name == server_name for it in states}
        return users & {UserId(it) for it in found}

    @property
    def reaches_others(self) -> bool:
        return True

    def sends_to(self, server_name: ServerName) -> bool:
        return server_name not in self.of_others

    def cease(self, is_theirs: Callable[[ServerName], bool]) -> None:
        self.sent = [it for it in self.sent if not is_theirs(it[0])]

    def heard_from(self, server_name: ServerName) -> None:
        self.heard.append(server_name)

    async def take_over(self, is_ours: Callable[[ServerName], bool]) -> None:
        """Every server has answered."""

    @property
    def messages(self) -> list[tuple[ServerName, dict[str, str | None]]]:
        """By server, the status messages that were sent, by user."""
        return [(server, {it.user_id: it.status_msg for it in sent}) for server, sent in self.sent]


class FakeVisibilityStore:
    """Keeps what was saved of each viewer in memory, as long as it works."""

    def __init__(self) -> None:
        self.contents: dict[UserId, bytes] = {}
        self.saves = 0
        self.works = True
        #: Whether all that was saved can be read.
        self.answers = True

    async def load(self) -> Mapping[UserId, bytes]:
        if not self.answers:
            raise StorageUnavailable("the database is away")
        return self.contents

    async def of(self, viewer: UserId) -> bytes | None:
        if not self.works:
            raise StorageUnavailable("the database is away")
        return self.contents.get(viewer)

    async def begin(self, viewer: UserId, content: bytes) -> bytes:
        return self.contents.setdefault(viewer, content)

    async def update(
        self,
        viewers: Collection[UserId],
        change: Callable[[UserId, bytes | None], bytes | None],
    ) -> None:
        if not self.works:
            raise StorageUnavailable("the disk is full")
        self.saves += 1
        for viewer in viewers:
            content = change(viewer, self.contents.pop(viewer, None))
            if content is not None:
                self.contents[viewer] = content


class Parts(Core):
    """The core of presence, over fakes."""

    def __init__(
        self,
        *,
        tells_servers: bool = False,
        most_members: int | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        """*tells_servers*: presence goes to the servers that share a room with a user.

        A room with more than *most_members* does not count.
        """
        self.clock = clock or FakeClock()
        self.metrics = Metrics()
        self.store = FakeStore()
        self.outgoing = FakeOutgoing()
        self.background = Background(self.clock)
        ports = CorePorts(
            self.clock,
            self.background,
            self.metrics,
            self.store,
            FakeVisibilityStore(),
            self.outgoing,
            LocalStream,
        )
        rooms = SharedRooms(lambda room_id: True, HERE if tells_servers else None)
        super().__init__(CoreSettings(HERE), ports, rooms, sizes=RoomSizes(most_members))
        self.registrations = self.router.prepare()
        self.router.adopt(self.registrations)
        self.told: list[Published] = []
        self.witnesses.observe(self.told.append)

    def room(self, room_id: RoomId, *members: UserId) -> None:
        """Put *members* into a room."""
        for member in members:
            self.rooms.joined(room_id, member, StreamPosition(1))

    def module(
        self,
        get_users_for_states: Act | None = None,
        get_interested_users: Act | None = None,
        name: str = "MyRouter",
    ) -> None:
        """Register a module; a callback that is not given names nobody."""
        self.registrations.register(
            name, get_users_for_states or answering({}), get_interested_users or answering(set())
        )

    def set(self, user_id: UserId, status_msg: str | None) -> list[Change]:
        """Set a status on the bare tracker; return the changes, which nobody has published."""
        event = StatusSet(user_id, PHONE, Presence.ONLINE, status_msg)
        return self.tracker.feed(event, self.clock.now())

    def goes_offline(self, user_id: UserId) -> list[Change]:
        """Let a user go offline on the bare tracker; return the changes."""
        event = StatusSet(user_id, PHONE, Presence.OFFLINE, None)
        return self.tracker.feed(event, self.clock.now())

    async def publish(self, user_id: UserId, status_msg: str | None) -> None:
        """Set a status and return once it is in the outboxes."""
        self.publisher.publish(self.set(user_id, status_msg))
        await self.publisher.published()

    def heard(self, viewer: UserId) -> list[tuple[str, str | None]]:
        """Return of whom the viewer's outbox tells, and which status message; newest first."""
        return [
            (it.state.user_id, it.state.status_msg)
            for it in self.feed.open(viewer).after(StreamPosition(0))
        ]

    def last(self, viewer: UserId, user_id: UserId) -> Update:
        """Return the newest update of a user in the viewer's outbox."""
        update = self.feed.open(viewer).last(user_id)
        assert update is not None
        return update
