"""Lists in parts: `limit` says how long one may be, `from` where it begins."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request

from lamplighter.errors import InvalidParam
from lamplighter.web.admin.operations import Parameter
from lamplighter.web.fields import natural, text

__all__ = ["FROM", "LIMIT", "after", "limit", "part"]

_MOST: Final = 1000
_USUAL: Final = 100

LIMIT: Final = Parameter(
    "limit",
    "How many entries there may be.",
    {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _USUAL},
)
FROM: Final = Parameter(
    "from",
    "The `next_batch` of the part before; absent for the first one.",
    {"type": "string"},
)


def limit(request: Request) -> int:
    """Return the query's `limit`; raise `InvalidParam` unless it is allowed."""
    given = request.query_params.get("limit")
    most = _USUAL if given is None else natural("limit", given)
    if not 1 <= most <= _MOST:
        raise InvalidParam(f"limit: must be a whole number from 1 to {_MOST}")
    return most


def after(request: Request) -> str | None:
    """Return behind what the part begins; None is at the beginning. Raises `TooLarge`."""
    value = request.query_params.get("from")
    return None if value is None else text("from", value)


def part(request: Request, names: Sequence[str]) -> tuple[Sequence[str], str | None]:
    """Return the wanted part of all *names*, in order, and what its `next_batch` is."""
    start, most = after(request), limit(request)
    ahead = sorted(name for name in names if start is None or name > start)
    return ahead[:most], ahead[most - 1] if len(ahead) > most else None
