"""What the admin API answers about who sees whom: its types, and how sights become them."""

from collections.abc import Mapping

import msgspec

from lamplighter.ids import RoomId
from lamplighter.routing.reasons import AllUsers, Module, Reason, Reasons, Self, SharedRoom
from lamplighter.service.explanations import Explanation, Sight, SightPage
from lamplighter.service.hints import Hint
from lamplighter.web.admin.content import PresenceContent, RoomContent, presence_content

__all__ = [
    "ExplanationContent",
    "HintContent",
    "ReasonContent",
    "SightContent",
    "SightsContent",
    "explanation_content",
    "reason_contents",
    "sights_content",
]

Names = Mapping[RoomId, str | None]


class ReasonContent(msgspec.Struct, frozen=True):
    """One reason why somebody sees somebody."""

    #: `self`, `shared_room`, `module` or `all_users`.
    kind: str
    #: The same for people.
    text: str
    room: RoomContent | None
    module: str | None


class SightContent(msgspec.Struct, frozen=True):
    """Whether a viewer sees a subject, and why."""

    viewer: str
    subject: str
    sees: bool
    #: `as it is`, `altered`, `withheld` or `nothing`.
    showing: str
    reasons: list[ReasonContent]
    #: As this viewer sees it; null if they do not.
    seen: PresenceContent | None
    #: As it is.
    actual: PresenceContent
    #: The modules that send the viewer the subject's presence, or withhold it.
    modules: list[str]
    #: Those of them that have altered what is seen, or withhold it.
    altered_by: list[str]
    #: Those that have altered it otherwise: a later module in the configuration decides.
    overruled: list[str]


class SightsContent(msgspec.Struct, frozen=True):
    """A part of such a list; it may be empty before the end."""

    sights: list[SightContent]
    next_batch: str | None


class HintContent(msgspec.Struct, frozen=True):
    """For a no, what would have to change; for a yes, what may be missing from it."""

    kind: str
    #: The same for people.
    text: str
    rooms: list[RoomContent]
    modules: list[str]


class ExplanationContent(msgspec.Struct, frozen=True):
    """A sight, with what matters to it."""

    sight: SightContent
    hints: list[HintContent]


def explanation_content(explanation: Explanation) -> ExplanationContent:
    """Return *explanation* as it is answered."""
    names = explanation.room_names
    hints = [_hint(hint, names) for hint in explanation.hints]
    return ExplanationContent(_sight(explanation.sight, names), hints)


def sights_content(page: SightPage) -> SightsContent:
    """Return *page* as it is answered."""
    return SightsContent([_sight(it, page.room_names) for it in page.sights], page.next_from)


def reason_contents(reasons: Reasons, names: Names) -> list[ReasonContent]:
    """Return *reasons* as they are answered; *names* are what their rooms are called."""
    return [_reason(reason, names) for reason in reasons]


def _sight(sight: Sight, names: Names) -> SightContent:
    return SightContent(
        viewer=sight.viewer,
        subject=sight.subject,
        sees=sight.sees,
        showing=str(sight.showing),
        reasons=reason_contents(sight.reasons, names),
        seen=presence_content(sight.seen) if sight.seen else None,
        actual=presence_content(sight.actual),
        modules=list(sight.modules),
        altered_by=list(sight.altered_by),
        overruled=list(sight.overruled),
    )


def _hint(hint: Hint, names: Names) -> HintContent:
    rooms = [RoomContent(room_id, names.get(room_id)) for room_id in hint.rooms]
    return HintContent(str(hint.kind), str(hint), rooms, list(hint.modules))


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
