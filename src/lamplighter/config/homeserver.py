"""The errors for a homeserver.yaml, or keys of one, in place of our configuration."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import fields

from lamplighter.config.explain import Refused
from lamplighter.config.model import Config
from lamplighter.config.synapse_keys import MOVED_KEYS, SYNAPSE_KEYS

__all__ = ["check_is_ours"]

#: With this many of Synapse's keys the file is a homeserver.yaml; with fewer they are mistakes.
_ENOUGH: Final = 3
#: How many of the keys that stay in Synapse are named.
_NAMED: Final = 5
_COMMAND: Final = "lamplighter generate-config --from-synapse homeserver.yaml -o lamplighter.yaml"


def check_is_ours(raw: object) -> None:
    """Raise `Refused` if *raw* has keys of Synapse at its top level."""
    if not isinstance(raw, dict):
        return
    theirs = [key for key in raw if key in SYNAPSE_KEYS]
    if "database" in theirs and not isinstance(raw["database"], Mapping):
        theirs.remove("database")  # ours is text, Synapse's is a mapping
    if len(theirs) >= _ENOUGH:
        raise Refused("", _answer(raw))
    for key in theirs:
        if key in MOVED_KEYS:
            raise Refused(key, f"a key of Synapse; here it is {MOVED_KEYS[key]}")
        raise Refused(key, "a key of Synapse, which stays in Synapse; remove it here")


def _answer(raw: Mapping[Any, Any]) -> str:
    """Return which keys move, which stay, and what to do next; never a value."""
    same = [key for key in raw if MOVED_KEYS.get(key) == key]
    moved = [f"{key} to {MOVED_KEYS[key]}" for key in raw if MOVED_KEYS.get(key, key) != key]
    stays = [key for key in raw if key in SYNAPSE_KEYS and key not in MOVED_KEYS]
    ours = {field.encode_name for field in fields(Config)}
    unknown = [key for key in raw if key not in SYNAPSE_KEYS | MOVED_KEYS.keys() | ours]
    more = ", …" if len(stays) > _NAMED else ""
    lines = [
        "this is a configuration of Synapse.",
        f"  Moves as it is: {_listed(same)}.",
        f"  Moves under another name: {_listed(moved)}.",
        f"  Stays in Synapse: {len(stays)} keys ({_listed(stays[:_NAMED])}{more}).",
    ]
    if unknown:
        lines.append(f"  Unknown to both: {len(unknown)} keys.")
    lines.append(f"  For a configuration to start from:\n    {_COMMAND}")
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
