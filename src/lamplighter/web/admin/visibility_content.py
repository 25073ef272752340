"""The answers of the admin API about who sees whom."""

from collections.abc import Mapping

import msgspec

from lamplighter.ids import RoomId
from lamplighter.routing.reasons import AllUsers, Module, Reason, Reasons, Self, SharedRoom
from lamplighter.service.explanations import Explanation, SeenPage, SeenUser
from lamplighter.service.hints import Hint
from lamplighter.web.admin.content import PresenceContent, RoomContent

__all__ = [
    "ExplanationContent",
    "HintContent",
    "ReasonContent",
    "VisibilityContent",
    "VisibilityPage",
    "reason_contents",
]

Names = Mapping[RoomId, str | None]


class ReasonContent(msgspec.Struct, frozen=True):
    """One reason why a viewer sees a user."""

    #: `self`, `shared_room`, `module` or `all_users`.
    kind: str
    #: The reason in words.
    text: str
    room: RoomContent | None
    module: str | None


class VisibilityContent(msgspec.Struct, frozen=True):
    """Whether a viewer sees a subject, and why."""

    viewer: str
    subject: str
    sees: bool
    #: `as it is`, `altered`, `withheld` or `nothing`.
    showing: str
    reasons: list[ReasonContent]
    #: The state that the viewer sees; null if the viewer sees nothing.
    seen: PresenceContent | None
    #: The real state.
    actual: PresenceContent
    #: The modules that send the viewer the subject's presence, or withhold it.
    modules: list[str]
    #: The modules that have altered the state that the viewer sees, or withhold it.
    altered_by: list[str]
    #: The modules whose alteration was overruled by a later module in the configuration.
    overruled: list[str]

    @classmethod
    def of(cls, seen: SeenUser, names: Names) -> "VisibilityContent":
        """Return *seen* as content; *names* are the names of rooms."""
        return cls(
            viewer=seen.viewer,
            subject=seen.subject,
            sees=seen.sees,
            showing=str(seen.showing),
            reasons=reason_contents(seen.reasons, names),
            seen=PresenceContent.of(seen.seen) if seen.seen else None,
            actual=PresenceContent.of(seen.actual),
            modules=list(seen.modules),
            altered_by=list(seen.altered_by),
            overruled=list(seen.overruled),
        )


class VisibilityPage(msgspec.Struct, frozen=True):
    """A page of a list. A page may be empty although more follow."""

    sights: list[VisibilityContent]
    next_batch: str | None

    @classmethod
    def of(cls, page: SeenPage) -> "VisibilityPage":
        """Return *page* as an answer."""
        sights = [VisibilityContent.of(it, page.room_names) for it in page.answers]
        return cls(sights, page.next_from)


class HintContent(msgspec.Struct, frozen=True):
    """What would have to change for a no, or what may be missing from a yes."""

    kind: str
    #: The hint in words.
    text: str
    rooms: list[RoomContent]
    modules: list[str]

    @classmethod
    def of(cls, hint: Hint, names: Names) -> "HintContent":
        """Return *hint* as an answer; *names* are the names of rooms."""
        rooms = [RoomContent(room_id, names.get(room_id)) for room_id in hint.rooms]
        return cls(str(hint.kind), str(hint), rooms, list(hint.modules))


class ExplanationContent(msgspec.Struct, frozen=True):
    """Whether a viewer sees a subject, with hints."""

    sight: VisibilityContent
    hints: list[HintContent]

    @classmethod
    def of(cls, explanation: Explanation) -> "ExplanationContent":
        """Return *explanation* as an answer."""
        names = explanation.room_names
        hints = [HintContent.of(hint, names) for hint in explanation.hints]
        return cls(VisibilityContent.of(explanation.answer, names), hints)


def reason_contents(reasons: Reasons, names: Names) -> list[ReasonContent]:
    """Return *reasons* as an answer; *names* are the names of rooms."""
    return [_reason(reason, names) for reason in reasons]


def _reason(reason: Reason, names: Names) -> ReasonContent:
    match reason:
        case Self():
            return ReasonContent("self", str(reason), None, None)
        case SharedRoom(room_id):
            room = RoomContent(room_id, names.get(room_id))
            return ReasonContent("shared_room", f"shared room {room.name or room_id}", room, None)
        case Module(name):
            return ReasonContent("module", str(reason), None, name)
        case AllUsers(name):
            return ReasonContent("all_users", str(reason), None, name)
