"""The parameters of the admin API: users, and pages of lists (`limit` entries after `from`)."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request

from lamplighter.errors import InvalidParam
from lamplighter.ids import ServerName, UserId, parse_user_id
from lamplighter.web.admin.operations import Parameter
from lamplighter.web.fields import natural, text

__all__ = ["FROM", "LIMIT", "page_length", "page_of", "page_start", "user_named"]

_MOST: Final = 1000
_USUAL: Final = 100

LIMIT: Final = Parameter(
    "limit",
    "The greatest number of entries.",
    {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _USUAL},
)
FROM: Final = Parameter(
    "from",
    "The `next_batch` of the page before; absent for the first page.",
    {"type": "string"},
)


def page_length(request: Request) -> int:
    """Return the query's `limit`. Raises `InvalidParam` if it is not allowed."""
    given = request.query_params.get("limit")
    most = _USUAL if given is None else natural("limit", given)
    if not 1 <= most <= _MOST:
        raise InvalidParam(f"limit: must be a whole number from 1 to {_MOST}")
    return most


def page_start(request: Request) -> str | None:
    """Return the last name before the page; None for the first page. Raises `TooLarge`."""
    value = request.query_params.get("from")
    return None if value is None else text("from", value)


def page_of(request: Request, names: Sequence[str]) -> tuple[Sequence[str], str | None]:
    """Return the requested page of *names*, sorted, and its `next_batch`."""
    start, most = page_start(request), page_length(request)
    ahead = sorted(name for name in names if start is None or name > start)
    return ahead[:most], ahead[most - 1] if len(ahead) > most else None


def user_named(text: str, server_name: ServerName) -> UserId:
    """Return *text*, which an operator wrote, as a user ID. Raises `InvalidId` if it is malformed.

    `bob` and `@bob` are users of this server, and `bob:elsewhere.org` is a user of another server.
    """
    sigil = "" if text.startswith("@") else "@"
    server = "" if ":" in text else f":{server_name}"
    return parse_user_id(f"{sigil}{text}{server}" if text else text)
