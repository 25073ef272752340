"""The admin API on the last batches, in bounded memory: who got which states, and why."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from starlette.requests import Request

from lamplighter.ids import ServerName, UserId
from lamplighter.routing.reasons import AllUsers, Module
from lamplighter.service.room_names import RoomNames
from lamplighter.service.witness import Published
from lamplighter.web.admin.broadcast import Observe
from lamplighter.web.admin.event_content import ChangesContent, named_batch
from lamplighter.web.admin.operations import Operation, Parameter
from lamplighter.web.admin.queries import LIMIT, page_length, user_named
from lamplighter.web.fields import text

__all__ = ["AdminChanges", "RecentBatches"]

_USER: Final = Parameter("user", "Only states of this user.", {"type": "string"})
_MODULE: Final = Parameter("module", "Only what this module has sent.", {"type": "string"})

#: How many batches are remembered, and how many recipients in all of them together.
_MOST_BATCHES: Final = 200
_MOST_RECIPIENTS: Final = 20_000


class RecentBatches:
    """The newest batches that *observe* reports."""

    def __init__(self, observe: Observe) -> None:
        self._batches: deque[tuple[Published, int]] = deque()
        self._recipients = 0
        observe(self._see)

    def newest_first(self) -> Sequence[Published]:
        """Return the batches, without the questions put to the modules about them."""
        return [published for published, _ in reversed(self._batches)]

    def _see(self, published: Published) -> None:
        size = sum(len(delivery.recipients) for delivery in published.deliveries)
        # What the modules were asked is large, and nobody asks for it here.
        self._batches.append((replace(published, asked=(), routes={}), size))
        self._recipients += size
        while len(self._batches) > _MOST_BATCHES or (
            self._recipients > _MOST_RECIPIENTS and len(self._batches) > 1
        ):
            _, gone = self._batches.popleft()
            self._recipients -= gone


class AdminChanges:
    """Shows batches from before the operator opened the page."""

    def __init__(
        self, recent: RecentBatches, room_names: RoomNames, server_name: ServerName
    ) -> None:
        self._recent = recent
        self._room_names = room_names
        self._server_name = server_name

    def operations(self) -> list[Operation]:
        summary = "List the last batches, at most 200, the newest first."
        parameters = (_USER, _MODULE, LIMIT)
        return [Operation("GET", "/changes", summary, self.list_all, ChangesContent, parameters)]

    async def list_all(self, request: Request) -> ChangesContent:
        """Return the newest batches, each reduced to the user and the module of the query."""
        found: Iterable[Published] = self._recent.newest_first()
        user, module = (request.query_params.get(name) for name in ("user", "module"))
        if user is not None:
            found = _of_user(found, user_named(text("user", user), self._server_name))
        if module is not None:
            found = _by_module(found, text("module", module))
        wanted = [batch for batch in found if batch.changes or batch.deliveries]
        newest = wanted[: page_length(request)]
        return ChangesContent([await named_batch(batch, self._room_names) for batch in newest])


def _of_user(batches: Iterable[Published], user_id: UserId) -> Iterator[Published]:
    for batch in batches:
        changes = [change for change in batch.changes if change.new.user_id == user_id]
        deliveries = [delivery for delivery in batch.deliveries if delivery.user_id == user_id]
        yield replace(batch, changes=changes, deliveries=deliveries)


def _by_module(batches: Iterable[Published], name: str) -> Iterator[Published]:
    for batch in batches:
        deliveries = []
        for delivery in batch.deliveries:
            recipients = {
                viewer: reasons
                for viewer, reasons in delivery.recipients.items()
                if any(it in (Module(name), AllUsers(name)) for it in reasons)
            }
            if recipients:
                deliveries.append(replace(delivery, recipients=recipients))
        about = {delivery.user_id for delivery in deliveries}
        changes = [change for change in batch.changes if change.new.user_id in about]
        yield replace(batch, changes=changes, deliveries=deliveries)
