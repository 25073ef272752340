"""What stands between a viewer and somebody's presence, and what would have to change."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from lamplighter.ids import RoomId, UserId

__all__ = ["Hint", "HintKind"]


class HintKind(StrEnum):
    """What a hint is about."""

    PRESENCE_DISABLED = "presence_disabled"
    UNKNOWN_VIEWER = "unknown_viewer"
    UNKNOWN_SUBJECT = "unknown_subject"
    #: The subject exists, and has never been online here.
    NEVER_HEARD_OF = "never_heard_of"
    NO_SHARED_ROOM = "no_shared_room"
    #: They share rooms which `routing.exclude_rooms` leaves out.
    EXCLUDED_ROOMS = "excluded_rooms"
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
    #: And that server is sent nothing: federation is off, or does not admit it.
    NOTHING_IS_SENT = "nothing_is_sent"
    #: The subject is of another server, and so is the viewer.
    NOT_OURS_TO_TELL = "not_ours_to_tell"


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
    def presence_disabled(cls) -> "Hint":
        """There is no presence at all."""
        return cls(HintKind.PRESENCE_DISABLED, "Presence is off: set presence.enabled to true.")

    @classmethod
    def unknown_viewer(cls, viewer: UserId) -> "Hint":
        """*viewer* has no account that could see anybody."""
        return cls(HintKind.UNKNOWN_VIEWER, f"{viewer} has no account here, or it is deactivated.")

    @classmethod
    def unknown_subject(cls, subject: UserId) -> "Hint":
        """There is no *subject*, as far as this server knows."""
        text = f"{subject} is unknown here: no account, and no presence was ever heard of."
        return cls(HintKind.UNKNOWN_SUBJECT, text)

    @classmethod
    def never_heard_of(cls, subject: UserId) -> "Hint":
        """*subject* has not been online yet."""
        text = f"{subject} was never online, so modules are not yet asked who else may see them."
        return cls(HintKind.NEVER_HEARD_OF, text)

    @classmethod
    def no_shared_room(cls) -> "Hint":
        """A room would do."""
        text = "They share no room that counts. Both joined to one, they would see each other."
        return cls(HintKind.NO_SHARED_ROOM, text)

    @classmethod
    def excluded_rooms(cls, rooms: Iterable[RoomId]) -> "Hint":
        """*rooms*, which they share, would do if they were not left out."""
        text = "They share a room, but routing.exclude_rooms leaves it out."
        return cls(HintKind.EXCLUDED_ROOMS, text, tuple(sorted(rooms)))

    @classmethod
    def rooms_do_not_count(cls, rooms: Iterable[RoomId]) -> "Hint":
        """*rooms*, which they share, would do if rooms counted."""
        text = "No room counts: routing.shared_rooms is false, so modules alone decide."
        return cls(HintKind.ROOMS_DO_NOT_COUNT, text, tuple(sorted(rooms)))

    @classmethod
    def no_module(cls) -> "Hint":
        """A module could name them, and there is none."""
        text = "No presence router module is loaded that could name one to the other."
        return cls(HintKind.NO_MODULE, text)

    @classmethod
    def not_named(cls, viewer: UserId, subject: UserId, modules: Iterable[str]) -> "Hint":
        """None of *modules* says that *viewer* may see *subject*."""
        names = tuple(modules)
        who = f"Module {names[0]} does not name" if len(names) == 1 else "No module names"
        return cls(HintKind.NOT_NAMED, f"{who} {subject} for {viewer}.", modules=names)

    @classmethod
    def module_paused(cls, module: str) -> "Hint":
        """*module* says nothing for a while."""
        text = (
            f"Module {module} is paused after failures: it is asked again later, or after a reset."
        )
        return cls(HintKind.MODULE_PAUSED, text, modules=(module,))

    @classmethod
    def module_failed(cls, module: str) -> "Hint":
        """*module* might have said more."""
        text = f"Module {module} gave no sound answer in the last minute; the log says why."
        return cls(HintKind.MODULE_FAILED, text, modules=(module,))

    @classmethod
    def withheld(cls, modules: Iterable[str]) -> "Hint":
        """What one of *modules* usually alters is not shown while it fails."""
        names = tuple(modules)
        text = f"Module {', '.join(names)} usually alters what is shown here, and did not answer."
        return cls(HintKind.WITHHELD, text, modules=names)

    @classmethod
    def viewer_elsewhere(cls, viewer: UserId) -> "Hint":
        """What we send is all we know of it."""
        text = (
            f"{viewer} is of another server: modules, and no rooms, decide what it is sent, "
            "one state of each person for all its users."
        )
        return cls(HintKind.VIEWER_ELSEWHERE, text)

    @classmethod
    def nothing_is_sent(cls, viewer: UserId) -> "Hint":
        """*viewer*'s server is not spoken to."""
        text = f"{viewer} is of another server: federation is off, or does not admit that one."
        return cls(HintKind.NOTHING_IS_SENT, text)

    @classmethod
    def not_ours_to_tell(cls, subject: UserId) -> "Hint":
        """Only *subject*'s own server sends the presence of *subject*."""
        text = f"{subject} is of another server too, and only its own server tells others."
        return cls(HintKind.NOT_OURS_TO_TELL, text)
