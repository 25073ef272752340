"""What is said of Synapse's keys in our configuration: one answer for a whole homeserver.yaml."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import inspect

from lamplighter.config.explain import Refused
from lamplighter.config.model import Config
from lamplighter.config.synapse_keys import MOVED_KEYS, SYNAPSE_KEYS

__all__ = ["check_is_ours"]

#: Fewer of Synapse's keys are a slip; with so many the file is Synapse's.
_ENOUGH: Final = 3
#: So many of the keys that stay are named; all are counted.
_NAMED: Final = 5
_COMMAND: Final = "lamplighter generate-config --from-synapse homeserver.yaml -o lamplighter.yaml"


def check_is_ours(raw: object) -> None:
    """Raise `Refused` for a configuration that has keys of Synapse at its top."""
    if not isinstance(raw, dict):
        return
    theirs = [key for key in raw if key in SYNAPSE_KEYS]
    if len(theirs) >= _ENOUGH:
        raise Refused("", _answer(raw))
    for key in theirs:
        if key in MOVED_KEYS:
            raise Refused(key, f"a key of Synapse; here it is {MOVED_KEYS[key]}")
        raise Refused(key, "a key of Synapse, which stays in Synapse; remove it here")


def _answer(raw: Mapping[Any, Any]) -> str:
    """Return what moves, what stays, and how to go on; never a value."""
    same = [key for key in raw if MOVED_KEYS.get(key) == key]
    moved = [f"{key} to {MOVED_KEYS[key]}" for key in raw if MOVED_KEYS.get(key, key) != key]
    stays = [key for key in raw if key in SYNAPSE_KEYS and key not in MOVED_KEYS]
    ours = {field.encode_name for field in _fields()}
    unknown = [key for key in raw if key not in SYNAPSE_KEYS | MOVED_KEYS.keys() | ours]
    lines = [
        "this is a configuration of Synapse.",
        f"  Moves as it is: {_listed(same)}.",
        f"  Moves under another name: {_listed(moved)}.",
        f"  Stays in Synapse: {len(stays)} keys ({_some(stays)}).",
    ]
    if unknown:
        lines.append(f"  Unknown to both: {len(unknown)} keys.")
    lines.append(f"  For a configuration to start from:\n    {_COMMAND}")
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def _some(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _NAMED else ""
    return _listed(names[:_NAMED]) + more


def _fields() -> Sequence[inspect.Field]:
    kind = inspect.type_info(Config)
    assert isinstance(kind, inspect.StructType)
    return kind.fields
