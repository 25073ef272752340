"""The admin API on destinations: how many states wait for each server, and its back-off."""

from collections.abc import Callable, Sequence

from starlette.requests import Request

from lamplighter.federation.sender import DestinationStatus
from lamplighter.web.admin.content import DestinationPage
from lamplighter.web.admin.operations import Operation
from lamplighter.web.admin.paging import FROM, LIMIT, page_of

__all__ = ["AdminDestinations"]


class AdminDestinations:
    """Shows the servers for which states wait, or which did not answer the last time."""

    def __init__(self, statuses: Callable[[], Sequence[DestinationStatus]]) -> None:
        self._statuses = statuses

    def operations(self) -> list[Operation]:
        summary = "List other servers for which states wait, or which did not answer."
        page = (LIMIT, FROM)
        return [
            Operation("GET", "/destinations", summary, self.list_all, DestinationPage, page),
        ]

    async def list_all(self, request: Request) -> DestinationPage:
        """Return a page of the destinations, in the order of their names."""
        statuses = {str(status.server_name): status for status in self._statuses()}
        names, next_batch = page_of(request, list(statuses))
        return DestinationPage([statuses[name] for name in names], len(statuses), next_batch)
