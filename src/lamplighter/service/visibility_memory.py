"""Stores visibility over a restart: ended pairs, the users that modules named, counting rooms.

An operator changes modules by a restart as often as by a reload. So the answers of
`get_interested_users` are kept, as far as they name anybody, and the first one after the restart
is compared with them. An operator changes which rooms count by a restart, too: so the rooms that
counted are compared with those that the configuration lets count now.

Several nodes save what they know of one viewer. Each adds the ends that it knows to those that are
saved, and says whom modules name only if it has asked the modules since it saved last. A viewer who
returns after a while may have been at another node before: then what is saved of the viewer is
looked up. When a node has ended, nobody else knows whom modules have named there: then the others
look up all that is saved.
"""

from collections.abc import Callable, Collection, Mapping
from operator import itemgetter
from typing import Final, Protocol, TypeAlias

import msgspec
import structlog

from lamplighter.clock import next_turn
from lamplighter.delivery.endings import Endings
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import RoomId, StreamEpoch, StreamPosition, UserId
from lamplighter.routing.counting import Counting, CountingRooms
from lamplighter.routing.reasons import AllUsers, Module
from lamplighter.routing.visibility import Interest, ModuleInterests, NoLongerNamed

__all__ = ["MOST_SAVED", "VisibilityMemory", "VisibilityStore"]

_log = structlog.get_logger(__name__)

#: At most this many pairs of viewer and named user are saved. Beyond them, what modules name is not
#: compared with what they name after a restart.
MOST_SAVED: Final = 200_000
#: Of one viewer so many ends are saved, the newest.
_MOST_ENDED: Final = 10_000
#: So many viewers are recalled without a pause.
_AT_A_TIME: Final = 500
#: The ID, in the place of a viewer's, under which the rooms are saved; no user has it.
_ROOMS: Final = UserId("")
#: The ID under which the epoch is saved.
_EPOCH: Final = UserId("epoch")


#: Returns what is to be kept of a viewer, by what is kept.
Change: TypeAlias = Callable[[UserId, bytes | None], bytes | None]


class VisibilityStore(Protocol):
    """Keeps something for each viewer."""

    async def load(self) -> Mapping[UserId, bytes]:
        """Return what was saved; raise `StorageUnavailable`."""

    async def of(self, viewer: UserId) -> bytes | None:
        """Return what is kept of one viewer, None if nothing is; raise `StorageUnavailable`."""

    async def begin(self, viewer: UserId, content: bytes) -> bytes:
        """Keep *content*, unless there is one; return what is kept. Raises `StorageUnavailable`."""

    async def update(self, viewers: Collection[UserId], change: Change) -> None:
        """Let *change* say, by what is kept of each of *viewers*, what is to be kept.

        None is nothing. Nobody else updates anything meanwhile. Raises `StorageUnavailable`.
        """


class _Content(msgspec.Struct, omit_defaults=True):
    """The saved content of one viewer."""

    ended: dict[UserId, StreamPosition] = {}
    named: dict[UserId, tuple[str, ...]] = {}
    all_users: tuple[str, ...] = ()
    #: The mark of the node at which they named these.
    by: str = ""


_CONTENT: Final = msgspec.json.Decoder(_Content)


class VisibilityMemory:
    """Restores, and saves what has changed since."""

    def __init__(
        self,
        store: VisibilityStore,
        endings: Endings,
        interests: ModuleInterests,
        most: int = MOST_SAVED,
        *,
        node: str = "",
    ) -> None:
        """Keep *most* pairs of viewer and named user; *node* is the mark of this node."""
        self._node = node
        self._store = store
        self._endings = endings
        self._interests = interests
        self._most = most
        #: The epoch of the stream, which since tokens name; empty where none was saved.
        self.epoch = StreamEpoch("")
        #: Which rooms count; None while that was never saved.
        self._rooms: CountingRooms | None = None
        #: The rooms that have begun or ceased to count since.
        self._crossed: dict[RoomId, Counting] = {}
        #: How many named users are saved for each viewer.
        self._named: dict[UserId, int] = {}
        self._unsaved: set[UserId] = set()
        #: Those of them for whom this node has asked the modules.
        self._asked: set[UserId] = set()
        self._is_failing = False
        #: Whether a node has ended, and it was not looked up yet whom modules named there.
        self._has_node_ended = False

    async def restore(self) -> CountingRooms | None:
        """Take in what was saved; return which rooms counted, None where that was never saved.

        Raises `StorageUnavailable`.
        """
        saved = dict(await self._store.load())
        rooms, epoch = saved.pop(_ROOMS, None), saved.pop(_EPOCH, b"")
        self.epoch = StreamEpoch(epoch.decode())
        for viewer, text in saved.items():
            content = _CONTENT.decode(text)
            if content.ended:
                self._endings.put(viewer, content.ended)
            if content.named or content.all_users:
                self._named[viewer] = len(content.named)
                self._interests.restore(viewer, _interest(content))
        self._endings.take_changed()
        self._rooms = msgspec.json.decode(rooms, type=CountingRooms) if rooms else None
        return self._rooms

    async def recall(self, viewer: UserId) -> None:
        """Take in whom modules have named for a viewer at other nodes, as far as that is saved."""
        try:
            kept = await self._store.of(viewer)
        except StorageUnavailable as problem:
            _log.warning("whom a viewer saw elsewhere is unknown", problem=str(problem))
            return
        if kept is not None:
            self._interests.restore(viewer, _interest(_CONTENT.decode(kept)))

    def node_ended(self) -> None:
        """Learn that a node has ended, this one or another: `recall_all` is to be called."""
        self._has_node_ended = True

    async def recall_all(self) -> Mapping[UserId, NoLongerNamed]:
        """Take in whom modules have named at a node that has ended, as far as that is saved.

        Return, by viewer, whom they do not name here; nobody where no node has ended. Where the
        database is away, the next call does it.
        """
        if not self._has_node_ended:
            return {}
        self._has_node_ended = False
        try:
            saved = await self._store.load()
        except StorageUnavailable:
            self._has_node_ended = True
            return {}
        found = {}
        for number, (viewer, text) in enumerate(saved.items(), 1):
            if number % _AT_A_TIME == 0:
                await next_turn()
            if viewer in (_ROOMS, _EPOCH):
                continue
            if unnamed := self._compare(viewer, _CONTENT.decode(text)):
                found[viewer] = unnamed
        return found

    async def begin_epoch(self, epoch: StreamEpoch) -> None:
        """Save the epoch of the tokens from now on, unless another node has just saved one.

        Raises `StorageUnavailable`.
        """
        self.epoch = StreamEpoch((await self._store.begin(_EPOCH, epoch.encode())).decode())

    async def save_rooms(self, rooms: CountingRooms) -> None:
        """Save which rooms count from now on. Raises `StorageUnavailable`."""
        await self._store.update((_ROOMS,), lambda _viewer, _kept: msgspec.json.encode(rooms))
        self._rooms = rooms

    def room_counts(self, room_id: RoomId, *, counts: bool, position: StreamPosition) -> None:
        """Note, to be saved, that a room has begun or ceased to count at *position*."""
        if self._rooms is not None:
            before = self._crossed.get(room_id) or self._rooms.of(room_id)
            self._crossed[room_id] = before.next(counts=counts, position=position)
            self._unsaved.add(_ROOMS)

    async def save(self) -> Mapping[UserId, NoLongerNamed]:
        """Save what has changed; what cannot be written is tried the next time.

        Return, by viewer, whom modules named at another node, and do not name here. The other node
        may be dead, and what it saved is what this one replaces.
        """
        self._asked |= self._interests.take_changed()
        self._unsaved |= self._endings.take_changed() | self._asked
        saving, self._unsaved = self._unsaved, set()
        asked, self._asked = self._asked, set()
        found: dict[UserId, NoLongerNamed] = {}
        if not saving:
            return found

        def content_of(viewer: UserId, kept: bytes | None) -> bytes | None:
            if viewer == _ROOMS and (rooms := self._rooms) is not None:
                now = CountingRooms(rooms.others, {**rooms.rooms, **self._crossed})
                return msgspec.json.encode(now)
            content = _CONTENT.decode(kept) if kept else _Content()
            content.ended = _newest(content.ended, self._endings.of(viewer))
            if viewer in asked:
                if unnamed := self._compare(viewer, content):
                    found[viewer] = unnamed
                self._put_named(viewer, content)
            return None if content == _Content() else msgspec.json.encode(content)

        try:
            await self._store.update(saving, content_of)
        except StorageUnavailable as problem:
            self._unsaved |= saving
            self._asked |= asked
            if not self._is_failing:
                _log.error("whom viewers see could not be saved", problem=str(problem))
            self._is_failing = True
            found.clear()
        else:
            self._is_failing = False
        return found

    def _compare(self, viewer: UserId, content: _Content) -> NoLongerNamed:
        """Return whom modules do not name here of those whom they named at another node."""
        if content.by == self._node:
            return NoLongerNamed(frozenset())
        return self._interests.restore(viewer, _interest(content))

    def _put_named(self, viewer: UserId, content: _Content) -> None:
        """Put into *content* whom modules name for the viewer, if there is room."""
        content.named, content.all_users, content.by = {}, (), ""
        interest = self._interests.last(viewer)
        self._named.pop(viewer, None)
        left = self._most - sum(self._named.values())
        if interest is not None and len(interest.named) <= left:
            content.named = {
                user_id: tuple(it.name for it in modules)
                for user_id, modules in interest.named.items()
            }
            content.all_users = tuple(it.module for it in interest.all_users)
            if content.named or content.all_users:
                content.by = self._node
            if content.named:
                self._named[viewer] = len(content.named)


def _interest(content: _Content) -> Interest:
    named = {user_id: tuple(map(Module, names)) for user_id, names in content.named.items()}
    return Interest(named, tuple(map(AllUsers, content.all_users)))


def _newest(
    kept: Mapping[UserId, StreamPosition], known: Mapping[UserId, StreamPosition]
) -> dict[UserId, StreamPosition]:
    """Return the ends that are *kept* or *known*; none if none is known any more."""
    if not known:
        return {}
    ended = dict(kept)
    for user_id, position in known.items():
        ended[user_id] = max(position, ended.get(user_id, position))
    newest = sorted(ended.items(), key=itemgetter(1))
    return dict(newest[-_MOST_ENDED:])
