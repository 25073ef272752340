"""Mistakes in a configuration, each in one line: the key, the value, and what is allowed.

The line must not repeat a secret, because people paste it into chats and bug reports. A value is
hidden if its key looks like that of a secret, if its section holds secrets, or if the text itself
looks like a token or a hash.
"""

import difflib
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import inspect

from lamplighter.config.model import Config
from lamplighter.msgspec_errors import read_mistake

__all__ = ["HIDDEN", "Refused", "is_secret", "quoted", "refusal"]

_STEP: Final = re.compile(r"(\w+)|\[(\d+)\]")
_PLAIN_KEY: Final = re.compile(r"[\w.\-]{1,60}")

#: Replaces a secret.
HIDDEN: Final = "[hidden]"
#: Keys whose values are hidden, in our configuration, in Synapse's, and in modules' own.
_SECRET_KEY: Final = re.compile(
    r"(?i)token|secret|passw|passphrase|pepper|authoriz|credential|cookie|private|(?:api|signing|access)_?key"
)
#: Sections and keys at the top whose values are all hidden.
_SECRET_SECTIONS: Final = frozenset({"admin", "database"})
#: One of our tokens, one of Synapse's, the user and password in a URL, or a long hexadecimal text.
_SECRET_TEXT: Final = re.compile(
    r"lamp_[\w-]{8,}|syt_\w+|(?<=//)[^/@\s]+:[^/@\s]*(?=@)|\b[0-9a-fA-F]{40,}\b"
)
_DEEPEST: Final = 20

Step = str | int


class Refused(Exception):
    """A key or its value is not allowed. The text names the key, the value and what is allowed."""

    def __init__(self, path: str, complaint: str) -> None:
        super().__init__(f"{path}: {complaint}" if path else complaint)


def quoted(value: object) -> str:
    """Return *value* as one short line, with anything that may be a secret hidden."""
    value = _without_secrets(value)
    try:
        text = msgspec.json.encode(value, enc_hook=str).decode()
    except (TypeError, ValueError, RecursionError):
        text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_secret(key: object) -> bool:
    """Return whether the value of a key with this name may be a secret."""
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None


def _without_secrets(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _SECRET_TEXT.sub(HIDDEN, value)
    if depth > _DEEPEST:
        return HIDDEN
    if isinstance(value, dict):
        return {
            _without_secrets(key): HIDDEN if is_secret(key) else _without_secrets(it, depth + 1)
            for key, it in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(it, depth + 1) for it in value]
    return value


def refusal(error: msgspec.ValidationError, raw: object) -> Refused:
    """Return the mistake that *error* reports of the configuration *raw*, for people."""
    mistake = read_mistake(error)
    steps: list[Step] = [name or int(index) for name, index in _STEP.findall(mistake.path)]
    if mistake.unknown is not None:
        return _unknown_key(mistake.unknown, steps)
    if mistake.missing is not None:
        steps.append(mistake.missing)
        return Refused(_dotted(steps), f"missing; give {_allowed(steps)}")
    if mistake.is_key:
        return Refused(_dotted(steps), f"every key must be text; give {_allowed(steps)}")
    taken, value = _find(raw, steps)
    secret = any(map(is_secret, taken)) or bool(taken and taken[0] in _SECRET_SECTIONS)
    written = "the value, which is not shown," if secret and value else quoted(value)
    return Refused(_dotted(taken), f"{written} is not allowed; give {_allowed(steps)}")


def _unknown_key(key: str, steps: Sequence[Step]) -> Refused:
    known = _keys(_type_at(steps)[0])
    close = difflib.get_close_matches(key, known, n=1)
    advice = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(known)}"
    name = quoted(key)
    if steps and steps[0] in _SECRET_SECTIONS and not close:
        name = HIDDEN
    elif _PLAIN_KEY.fullmatch(key) and HIDDEN not in name:
        name = key
    return Refused(_dotted([*steps, name]), f"unknown key; {advice}")


def _find(raw: object, steps: Sequence[Step]) -> tuple[list[Step], object]:
    """Follow *steps* in the operator's text; return the steps that exist there, and the value."""
    taken: list[Step] = []
    value: Any = raw
    for step in steps:
        if isinstance(value, str):
            break  # the operator wrote one address instead of a list
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
    """Return the type to which *steps* lead from `Config`, and its description."""
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
        else:  # a type or None
            kind = kind.types[0]
    return kind, description
