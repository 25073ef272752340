"""The requests of the kinds of clients that people use.

A figure for a request that no client sends misleads. So each load sends the requests of one kind
of client: with its filter, its `set_presence` and its header fields.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

__all__ = ["BOT", "CLIENTS", "ELEMENT", "ELEMENT_AWAY", "NIO", "Client"]

#: The place of the since token in a query.
_SINCE: Final = "SINCE"


@dataclass(frozen=True)
class Client:
    """A kind of client."""

    name: str
    about: str
    #: The `set_presence` of its polls; None: the client sends none.
    set_presence: str | None
    #: The filter of its polls; None: the client uses none.
    filter: str | None
    #: Whether the client uploads the filter and sends its ID, or sends the whole filter each time.
    uploads: bool
    #: The header fields of its requests, beside `Host` and `Authorization`.
    fields: str
    #: The parameters of a poll, in the client's order.
    order: tuple[str, ...]

    @property
    def presence(self) -> str:
        """The presence of the client's user while the client polls."""
        return self.set_presence or "online"

    @property
    def is_always_active(self) -> bool:
        """Whether each poll of the client counts as an activity of the user."""
        return self.set_presence == "online"

    def query(self, timeout_ms: int, chosen: str | None) -> tuple[str, str]:
        """Return the query of a poll up to the since token, and what follows that.

        *chosen* is the ID of the filter if the client `uploads`, else the filter.
        """
        values = {
            "filter": chosen,
            "timeout": str(timeout_ms),
            "set_presence": self.set_presence,
            "since": _SINCE,
        }
        sent = [(name, value) for name in self.order if (value := values[name]) is not None]
        before, after = urlencode(sent).split(f"since={_SINCE}")
        return f"{before}since=", after

    def first_query(self) -> str:
        """Return the query of the first `/sync`."""
        chosen = self.filter
        if chosen is not None and self.uploads:
            # The client uses this filter once, so the client does not upload it.
            definition: dict[str, Any] = json.loads(chosen)
            definition["room"]["timeline"]["limit"] = 20
            chosen = _compact(definition)
        values = {"filter": chosen, "timeout": "0", "set_presence": self.set_presence}
        return urlencode({name: value for name, value in values.items() if value is not None})


def _compact(definition: Mapping[str, Any]) -> str:
    return json.dumps(definition, separators=(",", ":"))


_ELEMENT_FILTER: Final = _compact(
    {
        "room": {
            "timeline": {"unread_thread_notifications": True},
            "state": {"lazy_load_members": True},
        }
    }
)
#: A bot asks for what it needs, and filters out the rest.
_NIO_FILTER: Final = _compact(
    {
        "presence": {"types": ["m.presence"]},
        "account_data": {"not_types": ["*"]},
        "room": {
            "state": {
                "types": [
                    "m.room.member",
                    "m.room.name",
                    "m.room.canonical_alias",
                    "m.room.encryption",
                    "m.room.power_levels",
                    "m.room.topic",
                    "m.room.avatar",
                ],
                "lazy_load_members": True,
            },
            "timeline": {
                "limit": 20,
                "types": ["m.room.message", "m.room.encrypted", "m.reaction", "m.room.redaction"],
            },
            "ephemeral": {"not_types": ["*"]},
            "account_data": {"not_types": ["*"]},
        },
    }
)

_BROWSER: Final = (
    "Connection: keep-alive\r\n"
    'sec-ch-ua: "Chromium";v="142", "Not_A Brand";v="99"\r\n'
    "sec-ch-ua-mobile: ?0\r\n"
    'sec-ch-ua-platform: "Linux"\r\n'
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36\r\n"
    "Accept: application/json\r\n"
    "Origin: https://element.example\r\n"
    "Sec-Fetch-Site: cross-site\r\n"
    "Sec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Dest: empty\r\n"
    "Referer: https://element.example/\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
)
_AIOHTTP: Final = (
    "Content-Type: application/json\r\n"
    "Accept: */*\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "User-Agent: Python/3.11 aiohttp/3.13\r\n"
)

_ELEMENT_ORDER: Final = ("filter", "timeout", "set_presence", "since")
_NIO_ORDER: Final = ("since", "timeout", "set_presence", "filter")

ELEMENT: Final = Client(
    "element",
    "a filter by its ID, no set_presence: Element, Cinny, FluffyChat in front",
    set_presence=None,
    filter=_ELEMENT_FILTER,
    uploads=True,
    fields=_BROWSER,
    order=_ELEMENT_ORDER,
)
ELEMENT_AWAY: Final = Client(
    "element-away",
    "the same in the background: set_presence=unavailable",
    set_presence="unavailable",
    filter=_ELEMENT_FILTER,
    uploads=True,
    fields=_BROWSER,
    order=_ELEMENT_ORDER,
)
NIO: Final = Client(
    "nio",
    "a filter as JSON, set_presence=online: programs on matrix-nio",
    set_presence="online",
    filter=_NIO_FILTER,
    uploads=False,
    fields=_AIOHTTP,
    order=_NIO_ORDER,
)
BOT: Final = Client(
    "bot",
    "neither filter nor set_presence: simple programs",
    set_presence=None,
    filter=None,
    uploads=False,
    fields="Accept: */*\r\n",
    order=_NIO_ORDER,
)

#: By name.
CLIENTS: Final[Mapping[str, Client]] = {it.name: it for it in (ELEMENT, ELEMENT_AWAY, NIO, BOT)}
