"""The entries of the stream: all that every node must learn of presence, in one order.

The node that owns a user decides how the user is, and asks the modules who else is told. Every node
delivers to the viewers whose polls it holds: it knows who shares which room and whom modules name
for its viewers, but not what the modules answered at the owner. So that answer is in the entry,
together with the users for whom a module that has not answered yet usually alters states: a node
keeps the change from those viewers until the answer comes, in an entry of its own, or does not.

An entry is frozen plain data, which can be written to a wire and read again: it holds no future,
no callback, no module and no task. Nodes that are handed the same entries at the same positions
hold the same roster. What concerns the viewers of one node only (an answer of
`get_interested_users`, the end of a visibility by a leave) is no entry: the node takes a position
of its own for that (`Stream.advance`). But only the node that has asked the modules knows whom they
have shown to a viewer, who may have gone to another node since. So what they show no more is an
entry (`VisibilityEnded`).

An example. Bob sets a status. The modules `Friends` and `Slow` are asked, `Slow` has not answered,
and it has shown Alice an altered state before:

    7  Changed([bob: online "brb"], routes={charlie: {bob: by Friends}}, awaited={Slow: {alice}})
       Each node plans for its viewers, Alice apart. Charlie is told because of the route.
    9  LateAnswer(about=7, routes={charlie: ..., alice: {bob: altered by Slow}}, awaited={})
       Alice is told, at 9, of the change at 7. Charlie has the same in the outbox, and is not
       told again. A token from before 9 has not heard of the change.

If `Slow` is replaced by another module meanwhile, the entry at 9 is `Abandoned(about=7)`: the
change becomes news again, and Alice is told when she is answered from scratch.
"""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from lamplighter.cluster.log import Lease
from lamplighter.cluster.parts import Part
from lamplighter.ids import DeviceId, RoomId, StreamPosition, UserId
from lamplighter.presence.changes import Change
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Route

__all__ = [
    "Abandoned",
    "Awaited",
    "BeganToCount",
    "CeasedToCount",
    "Changed",
    "Deactivated",
    "Entry",
    "EverybodyBut",
    "Forgotten",
    "HoldAsked",
    "HomeserverNews",
    "Idle",
    "Joined",
    "LateAnswer",
    "Left",
    "ModulesHeld",
    "ModulesSwapped",
    "ModulesTried",
    "ReadAgain",
    "Refreshed",
    "ReloadAsked",
    "ReloadCalledOff",
    "ReloadEntry",
    "Reminded",
    "Revoked",
    "SentRoutes",
    "ShownElsewhere",
    "SnapshotFor",
    "VisibilityEnded",
]

#: Viewer to user to what modules send the viewer of that user.
SentRoutes: TypeAlias = Mapping[UserId, Mapping[UserId, Route]]

#: By the name of each module that has not answered yet, the users for whom it has altered states.
Awaited: TypeAlias = Mapping[str, frozenset[UserId]]


class Changed(msgspec.Struct, frozen=True, tag=True):
    """A batch of announced changes, and what the modules have answered about it so far."""

    changes: tuple[Change, ...]
    routes: SentRoutes
    #: Empty if every module has answered.
    awaited: Awaited


class LateAnswer(msgspec.Struct, frozen=True, tag=True):
    """A module has answered late; *routes* are those of all answers so far."""

    #: The position of the batch.
    about: StreamPosition
    routes: SentRoutes
    #: Empty if this is the last one.
    awaited: Awaited


class Abandoned(msgspec.Struct, frozen=True, tag=True):
    """Nobody waits any more for what modules have not answered about a batch."""

    about: StreamPosition


class Refreshed(msgspec.Struct, frozen=True, tag=True):
    """Users whose states differ in nothing that is announced, as the time of an activity."""

    states: tuple[UserPresenceState, ...]


class ReadAgain(msgspec.Struct, frozen=True, tag=True):
    """States that a node has read from the database, after the log lost its data.

    The modules were not asked about them: every viewer of the node is answered from scratch.
    """

    states: tuple[UserPresenceState, ...]


class Forgotten(msgspec.Struct, frozen=True, tag=True):
    """A user of another server of whom nothing is remembered any more."""

    user_id: UserId


class Joined(msgspec.Struct, frozen=True, tag=True):
    """A user has joined a room."""

    room_id: RoomId
    user_id: UserId


class Left(msgspec.Struct, frozen=True, tag=True):
    """Users have left a room, together.

    Nodes write joins and leaves as `HomeserverNews`.
    """

    room_id: RoomId
    user_ids: tuple[UserId, ...]


class CeasedToCount(msgspec.Struct, frozen=True, tag=True):
    """A room is about to have too many members to make them visible to each other."""

    room_id: RoomId


class BeganToCount(msgspec.Struct, frozen=True, tag=True):
    """A room that had too many members makes those who are left visible to each other again."""

    room_id: RoomId


class Revoked(msgspec.Struct, frozen=True, tag=True):
    """The access tokens of devices are revoked: polls that were begun with them are refused."""

    user_id: UserId
    device_ids: tuple[DeviceId, ...]


class Deactivated(msgspec.Struct, frozen=True, tag=True):
    """An account is closed: the user is no viewer any more."""

    user_id: UserId


class SnapshotFor(msgspec.Struct, frozen=True, tag=True):
    """Viewers get one snapshot of everybody online, and the modules are asked for them anew."""

    viewers: tuple[UserId, ...]


class EverybodyBut(msgspec.Struct, frozen=True):
    """All users who were ever heard of, without some."""

    users: tuple[UserId, ...]


class VisibilityEnded(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Modules show a viewer some users no more, whom they have shown to the viewer at one node.

    The other nodes do not know whom they have shown there.
    """

    viewer: UserId
    users: tuple[UserId, ...] | EverybodyBut
    #: Whether it may have been so for some time: nothing depends on how the users are by now.
    is_stale: bool
    #: Since which position that is so; None: since this entry, or it is not known.
    since: StreamPosition | None = None


class Reminded(msgspec.Struct, frozen=True, tag=True):
    """Other servers are sent *states*, as they were at the position *about*, once more."""

    about: StreamPosition
    states: tuple[UserPresenceState, ...]
    routes: SentRoutes


class ShownElsewhere(msgspec.Struct, frozen=True, tag=True):
    """The servers of *viewers* are sent what each may see of *states*, as at *about*."""

    about: StreamPosition
    viewers: frozenset[UserId]
    states: tuple[UserPresenceState, ...]
    routes: SentRoutes


class ModulesSwapped(msgspec.Struct, frozen=True, tag=True):
    """Other modules are asked from here on."""

    #: The users whom the old modules, or the new ones, have shown to somebody in an altered state.
    altered: frozenset[UserId]


class ReloadAsked(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A node asks all nodes to reload their modules; `service/cluster_reload.py` has the steps.

    The position of this entry is the number of the reload.
    """

    by: Lease
    #: What the modules of a node's configuration must have as their digest.
    digest: str
    #: What these modules are, so that a node can say in what its own differ; None if the asker's
    #: version does not say it.
    parts: tuple[Part, ...] | None = None


class ModulesTried(msgspec.Struct, frozen=True, tag=True):
    """A node has loaded other modules, and tried them."""

    reload: StreamPosition
    by: Lease
    #: Why the node cannot use them; None if it can.
    problem: str | None


class HoldAsked(msgspec.Struct, frozen=True, tag=True):
    """All nodes shall ask the old modules no more."""

    reload: StreamPosition


class ModulesHeld(msgspec.Struct, frozen=True, tag=True):
    """A node asks no modules, until others are used or the reload is called off.

    Whatever the old modules have answered on that node is in the stream before this entry.
    """

    reload: StreamPosition
    by: Lease
    #: The users whom its old modules, or the new ones, have shown to somebody in an altered state.
    altered: frozenset[UserId]


class ReloadCalledOff(msgspec.Struct, frozen=True, tag=True):
    """The old modules go on."""

    reload: StreamPosition


class HomeserverNews(msgspec.Struct, frozen=True, tag=True):
    """A node has written to the homeserver's database; the payload is the homeserver's own."""

    payload: bytes


class Idle(msgspec.Struct, frozen=True, tag=True):
    """Nothing has happened: a node only needs to know that the stream has come so far."""


#: A step of a reload on all nodes.
ReloadEntry: TypeAlias = ReloadAsked | ModulesTried | HoldAsked | ModulesHeld | ReloadCalledOff

Entry: TypeAlias = (
    Changed
    | LateAnswer
    | Abandoned
    | Refreshed
    | ReadAgain
    | Forgotten
    | Joined
    | Left
    | CeasedToCount
    | BeganToCount
    | Revoked
    | Deactivated
    | SnapshotFor
    | VisibilityEnded
    | Reminded
    | ShownElsewhere
    | ModulesSwapped
    | ReloadEntry
    | HomeserverNews
    | Idle
)
