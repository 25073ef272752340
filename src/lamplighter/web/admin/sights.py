"""The admin API on who sees whom, why, and what would have to change."""

from typing import Final

from starlette.requests import Request

from lamplighter.ids import ServerName, UserId
from lamplighter.service.explanations import Explanations
from lamplighter.web.admin.names import user_named
from lamplighter.web.admin.operations import Operation, Parameter
from lamplighter.web.admin.paging import FROM, LIMIT, after, limit
from lamplighter.web.admin.sight_content import (
    ExplanationContent,
    SightsContent,
    explanation_content,
    sights_content,
)
from lamplighter.web.fields import query

__all__ = ["AdminSights"]

_USER_ID: Final = {"type": "string", "examples": ["@alice:example.org", "alice"]}
_VIEWER: Final = Parameter("viewer", "Who looks on.", dict(_USER_ID), required=True)
_SUBJECT: Final = Parameter("subject", "Who is looked at.", dict(_USER_ID), required=True)


class AdminSights:
    """Explains who sees whom."""

    def __init__(self, explanations: Explanations, server_name: ServerName) -> None:
        self._explanations = explanations
        self._server_name = server_name

    def operations(self) -> list[Operation]:
        explain = "Tell whether one user sees another, why, and what would have to change."
        sees, seen_by = "List whom a user sees, and why.", "List who sees a user, and why."
        viewer, subject = (_VIEWER, LIMIT, FROM), (_SUBJECT, LIMIT, FROM)
        both = (_VIEWER, _SUBJECT)
        return [
            Operation("GET", "/explain", explain, self.explain, ExplanationContent, both),
            Operation("GET", "/sees", sees, self.sees, SightsContent, viewer),
            Operation("GET", "/seen_by", seen_by, self.seen_by, SightsContent, subject),
        ]

    async def explain(self, request: Request) -> ExplanationContent:
        """Explain one pair."""
        viewer, subject = self._user(request, "viewer"), self._user(request, "subject")
        return explanation_content(await self._explanations.explain(viewer, subject))

    async def sees(self, request: Request) -> SightsContent:
        """Return a part of those whom the viewer sees."""
        page = await self._explanations.sees(self._user(request, "viewer"), *_part(request))
        return sights_content(page)

    async def seen_by(self, request: Request) -> SightsContent:
        """Return a part of those who see the subject."""
        page = await self._explanations.seen_by(self._user(request, "subject"), *_part(request))
        return sights_content(page)

    def _user(self, request: Request, name: str) -> UserId:
        return user_named(query(request, name), self._server_name)


def _part(request: Request) -> tuple[UserId | None, int]:
    start = after(request)
    return None if start is None else UserId(start), limit(request)
