"""Read the text of msgspec's validation errors: they have no fields that say what is wrong where.

The text has the form "Object missing required field `burst` - at `$.rate_limits.login`". Only this
module depends on that form.
"""

import re
from dataclasses import dataclass
from typing import Final

import msgspec

__all__ = ["Mistake", "read_mistake"]

_PLACE: Final = re.compile(r"(?s)(.*?)(?: - at `(key` in `)?\$\.?([^`]*)`)?")
_MISSING: Final = re.compile(r"Object missing required field `([^`]*)`")
_UNKNOWN: Final = re.compile(r"(?s)Object contains unknown field `(.*)`")


@dataclass(frozen=True, slots=True)
class Mistake:
    """The first mistake in a decoded value."""

    #: What msgspec says is wrong.
    problem: str
    #: Where, such as `rate_limits.login` or `listen[1]`; empty for the whole value.
    path: str
    #: Whether the mistake is in the key of a mapping at `path`, not in a value.
    is_key: bool
    #: The field that is missing, or that is unknown, if that is the mistake.
    missing: str | None
    unknown: str | None


def read_mistake(error: msgspec.ValidationError) -> Mistake:
    """Return the mistake that *error* reports."""
    place = _PLACE.fullmatch(str(error))
    assert place is not None  # the pattern matches any text
    problem, key, path = place.groups()
    missing, unknown = _MISSING.fullmatch(problem), _UNKNOWN.fullmatch(problem)
    return Mistake(
        problem,
        path or "",
        key is not None,
        missing[1] if missing else None,
        unknown[1] if unknown else None,
    )
