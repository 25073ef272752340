"""What is wrong with a configuration, in one line: the key, the value, and what is allowed."""

import difflib
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import inspect

from lamplighter.config.model import Config

__all__ = ["Refused", "explain", "shown"]

_PLACE: Final = re.compile(r"(?s)(.*?)(?: - at `(key` in `)?\$([\w.\[\]]*)`)?")
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]")
_UNKNOWN: Final = re.compile(r"(?s)Object contains unknown field `(.*)`")
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_PLAIN_KEY: Final = re.compile(r"[\w.\-]{1,60}")

Step = str | int


class Refused(Exception):
    """The value of a key is not allowed; the text says which, and what is."""

    def __init__(self, path: str, complaint: str) -> None:
        super().__init__(f"{path}: {complaint}" if path else complaint)


def shown(value: object) -> str:
    """Return *value* as one short line."""
    try:
        text = msgspec.json.encode(value, enc_hook=str).decode()
    except (TypeError, ValueError, RecursionError):
        text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def explain(error: msgspec.ValidationError, raw: object) -> Refused:
    """Return what *error* says of the configuration *raw*, for people."""
    place = _PLACE.fullmatch(str(error))
    assert place is not None  # the pattern takes any text
    complaint, key, path = place.groups()
    steps: list[Step] = [name or int(index) for name, index in _STEP.findall(path or "")]
    if unknown := _UNKNOWN.fullmatch(complaint):
        return _unknown_key(unknown[1], steps)
    if missing := _MISSING.fullmatch(complaint):
        steps.append(missing[1])
        return Refused(_dotted(steps), f"missing; give {_allowed(steps)}")
    if key:
        return Refused(_dotted(steps), f"every key must be text; give {_allowed(steps)}")
    steps, value = _find(raw, steps)
    return Refused(_dotted(steps), f"{shown(value)} is not allowed; give {_allowed(steps)}")


def _unknown_key(key: str, steps: Sequence[Step]) -> Refused:
    known = _keys(_type_at(steps)[0])
    close = difflib.get_close_matches(key, known, n=1)
    advice = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(known)}"
    name = key if _PLAIN_KEY.fullmatch(key) else shown(key)
    return Refused(_dotted([*steps, name]), f"unknown key; {advice}")


def _find(raw: object, steps: Sequence[Step]) -> tuple[list[Step], object]:
    """Follow *steps* in what the operator wrote, as far as they lead."""
    taken: list[Step] = []
    value: Any = raw
    for step in steps:
        if isinstance(value, str):
            break  # one address instead of a list of them
        value = value[step]
        taken.append(step)
    return taken, value


def _dotted(steps: Sequence[Step]) -> str:
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps]
    return "".join(parts).removeprefix(".")


def _allowed(steps: Sequence[Step]) -> str:
    kind, description = _type_at(steps)
    return description or f"a mapping with the keys {', '.join(_keys(kind))}"


def _keys(kind: inspect.Type) -> list[str]:
    return (
        [field.encode_name for field in kind.fields] if isinstance(kind, inspect.StructType) else []
    )


def _type_at(steps: Sequence[Step]) -> tuple[inspect.Type, str | None]:
    """Return the type that *steps* lead to from the whole, and its description."""
    kind, description = _unwrapped(inspect.type_info(Config))
    for step in steps:
        if isinstance(kind, inspect.StructType):
            kind = next(field.type for field in kind.fields if field.encode_name == step)
        elif isinstance(kind, inspect.VarTupleType):
            kind = kind.item_type
        kind, description = _unwrapped(kind)
    return kind, description


def _unwrapped(kind: inspect.Type) -> tuple[inspect.Type, str | None]:
    description = None
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.Metadata):
            description = description or (kind.extra_json_schema or {}).get("description")
            kind = kind.type
        else:  # something or nothing
            kind = kind.types[0]
    return kind, description
