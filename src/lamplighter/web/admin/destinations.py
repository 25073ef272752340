"""The admin API on other servers: what waits for them, and which are left alone."""

from collections.abc import Callable, Sequence

from starlette.requests import Request

from lamplighter.federation.sender import DestinationStatus
from lamplighter.web.admin.content import DestinationContent, DestinationPage
from lamplighter.web.admin.operations import Operation
from lamplighter.web.admin.paging import FROM, LIMIT, part

__all__ = ["AdminDestinations"]


class AdminDestinations:
    """Shows the servers that have something to be told, or did not answer the last time."""

    def __init__(self, statuses: Callable[[], Sequence[DestinationStatus]]) -> None:
        self._statuses = statuses

    def operations(self) -> list[Operation]:
        summary = "List other servers that have something to be told, or did not answer."
        page = (LIMIT, FROM)
        return [
            Operation("GET", "/destinations", summary, self.list_all, DestinationPage, page),
        ]

    async def list_all(self, request: Request) -> DestinationPage:
        """Return a part of them, in the order of their names."""
        statuses = {str(status.server_name): status for status in self._statuses()}
        names, next_batch = part(request, list(statuses))
        found = [_destination(statuses[name]) for name in names]
        return DestinationPage(found, len(statuses), next_batch)


def _destination(status: DestinationStatus) -> DestinationContent:
    backoff = status.backoff
    return DestinationContent(
        status.server_name,
        status.queued,
        status.is_busy,
        backoff.failures if backoff else 0,
        backoff.retry_at if backoff else None,
    )
