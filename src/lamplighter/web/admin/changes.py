"""The admin API on the last batches: which states were delivered to whom, and why."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from starlette.requests import Request

from lamplighter.ids import ServerName, UserId
from lamplighter.routing.plan import Delivery
from lamplighter.routing.reasons import AllUsers, Module
from lamplighter.service.room_names import RoomNames
from lamplighter.service.witness import Published
from lamplighter.web.admin.event_content import ChangesContent, named_batch
from lamplighter.web.admin.names import user_named
from lamplighter.web.admin.operations import Operation, Parameter
from lamplighter.web.admin.paging import LIMIT, page_length
from lamplighter.web.admin.recent import RecentBatches
from lamplighter.web.fields import text

__all__ = ["AdminChanges"]

_USER: Final = Parameter("user", "Only states of this user.", {"type": "string"})
_MODULE: Final = Parameter("module", "Only what this module has sent.", {"type": "string"})


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
        sent = [_only_by(name, delivery) for delivery in batch.deliveries]
        deliveries = [delivery for delivery in sent if delivery.recipients]
        about = {delivery.user_id for delivery in deliveries}
        changes = [change for change in batch.changes if change.new.user_id in about]
        yield replace(batch, changes=changes, deliveries=deliveries)


def _only_by(module: str, delivery: Delivery) -> Delivery:
    """Return *delivery* with only the recipients for whom *module* is a reason."""
    return replace(
        delivery,
        recipients={
            viewer: reasons
            for viewer, reasons in delivery.recipients.items()
            if any(it in (Module(module), AllUsers(module)) for it in reasons)
        },
    )
