"""Hints: the causes for which a viewer does not see a user, and what would have to change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lamplighter.ids import RoomId, UserId
from lamplighter.routing.room_sizes import begins_again

__all__ = ["Hint", "HintKind"]


class HintKind(StrEnum):
    """The kind of a hint."""

    PRESENCE_DISABLED = "presence_disabled"
    UNKNOWN_VIEWER = "unknown_viewer"
    UNKNOWN_SUBJECT = "unknown_subject"
    #: The subject exists, and has never been online here.
    NEVER_HEARD_OF = "never_heard_of"
    NO_SHARED_ROOM = "no_shared_room"
    #: They share rooms which `routing.exclude_rooms` leaves out.
    EXCLUDED_ROOMS = "excluded_rooms"
    #: They share a room that has too many members to count.
    LARGE_ROOM = "large_room"
    #: `routing.shared_rooms` is false.
    ROOMS_DO_NOT_COUNT = "rooms_do_not_count"
    NO_MODULE = "no_module"
    NOT_NAMED = "not_named"
    MODULE_PAUSED = "module_paused"
    #: A module's answer was lost, whole or in part.
    MODULE_FAILED = "module_failed"
    #: A module that usually alters the subject for the viewer has not answered.
    WITHHELD = "withheld"
    #: The viewer is of another server, which shows them what it is sent.
    VIEWER_ELSEWHERE = "viewer_elsewhere"
    #: The viewer's server is sent nothing: federation is off, or does not admit it.
    NOTHING_IS_SENT = "nothing_is_sent"
    #: The subject is of another server, and so is the viewer.
    NOT_OURS_TO_TELL = "not_ours_to_tell"


_TEXTS: Final[Mapping[HintKind, str]] = {
    HintKind.PRESENCE_DISABLED: "Presence is off: set presence.enabled to true.",
    HintKind.UNKNOWN_VIEWER: "{viewer} has no account here, or it is deactivated.",
    HintKind.UNKNOWN_SUBJECT: (
        "{subject} is unknown here: no account, and no presence was ever heard of."
    ),
    HintKind.NEVER_HEARD_OF: (
        "{subject} was never online, so modules are not yet asked who else may see them."
    ),
    HintKind.NO_SHARED_ROOM: (
        "They share no room that counts. Both joined to one, they would see each other."
    ),
    HintKind.EXCLUDED_ROOMS: "They share a room, but routing.exclude_rooms leaves it out.",
    HintKind.ROOMS_DO_NOT_COUNT: (
        "No room counts: routing.shared_rooms is false, so modules alone decide."
    ),
    HintKind.NO_MODULE: ("No presence router module is loaded that could name one to the other."),
    HintKind.NOT_NAMED: "No module names {subject} for {viewer}.",
    HintKind.MODULE_PAUSED: (
        "Module {modules} is paused after failures: it is asked again later, or after a reset."
    ),
    HintKind.MODULE_FAILED: (
        "Module {modules} gave no sound answer in the last minute; the log says why."
    ),
    HintKind.WITHHELD: ("Module {modules} usually alters what is shown here, and did not answer."),
    HintKind.VIEWER_ELSEWHERE: (
        "{viewer} is of another server, which is sent one state of each person for all its users: "
        "what modules send there and, in front of a homeserver with federation.shared_rooms, what "
        "rooms show."
    ),
    HintKind.NOTHING_IS_SENT: (
        "{viewer} is of another server: federation is off, or does not admit that one."
    ),
    HintKind.NOT_OURS_TO_TELL: (
        "{subject} is of another server too, and only its own server tells others."
    ),
}
_NOT_NAMED_BY_ONE: Final = "Module {modules} does not name {subject} for {viewer}."


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing that matters to the answer, in words; and the rooms or modules it is about."""

    kind: HintKind
    text: str
    rooms: tuple[RoomId, ...] = ()
    modules: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    @classmethod
    def of_large_room(cls, room_id: RoomId, members: int, most: int, rule: str) -> "Hint":
        """Return the hint that a shared room has, or had, more than *most* members.

        *rule* says in words what the configuration says of that.
        """
        text = f"They share {room_id}, which has {members:,} members: {rule}."
        if members <= most:
            again = f"it had more, and counts again with {begins_again(most):,}"
            text = f"They share {room_id}, which has {members:,} members: {rule}; {again}."
        return cls(HintKind.LARGE_ROOM, text, (room_id,))

    @classmethod
    def about(
        cls,
        kind: HintKind,
        viewer: UserId,
        subject: UserId,
        *,
        rooms: Iterable[RoomId] = (),
        modules: Iterable[str] = (),
    ) -> "Hint":
        """Return the hint of that kind; it concerns *rooms* which they share, or *modules*."""
        names = tuple(modules)
        text = _TEXTS[kind]
        if kind is HintKind.NOT_NAMED and len(names) == 1:
            text = _NOT_NAMED_BY_ONE
        text = text.format(viewer=viewer, subject=subject, modules=", ".join(names))
        return cls(kind, text, tuple(sorted(rooms)), names)
