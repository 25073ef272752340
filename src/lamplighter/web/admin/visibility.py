"""The admin API on who sees whom, why, and what would have to change."""

from typing import Final

from starlette.requests import Request

from lamplighter.ids import ServerName, UserId
from lamplighter.service.explanations import Explanations
from lamplighter.web.admin.operations import Operation, Parameter
from lamplighter.web.admin.queries import FROM, LIMIT, page_length, page_start, user_named
from lamplighter.web.admin.visibility_content import ExplanationContent, VisibilityPage
from lamplighter.web.fields import query

__all__ = ["AdminVisibility"]

_USER_ID: Final = {"type": "string", "examples": ["@alice:example.org", "alice"]}
_VIEWER: Final = Parameter("viewer", "The user who sees.", dict(_USER_ID), required=True)
_SUBJECT: Final = Parameter("subject", "The user who is seen.", dict(_USER_ID), required=True)


class AdminVisibility:
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
            Operation("GET", "/sees", sees, self.sees, VisibilityPage, viewer),
            Operation("GET", "/seen_by", seen_by, self.seen_by, VisibilityPage, subject),
        ]

    async def explain(self, request: Request) -> ExplanationContent:
        """Explain one pair."""
        viewer, subject = self._user(request, "viewer"), self._user(request, "subject")
        return ExplanationContent.of(await self._explanations.explain(viewer, subject))

    async def sees(self, request: Request) -> VisibilityPage:
        """Return a page of the users whom the viewer sees."""
        viewer = self._user(request, "viewer")
        return VisibilityPage.of(await self._explanations.sees(viewer, *_page(request)))

    async def seen_by(self, request: Request) -> VisibilityPage:
        """Return a page of the users who see the subject."""
        subject = self._user(request, "subject")
        return VisibilityPage.of(await self._explanations.seen_by(subject, *_page(request)))

    def _user(self, request: Request, name: str) -> UserId:
        return user_named(query(request, name), self._server_name)


def _page(request: Request) -> tuple[UserId | None, int]:
    start = page_start(request)
    return None if start is None else UserId(start), page_length(request)
