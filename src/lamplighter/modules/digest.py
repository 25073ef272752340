"""What tells the modules of two configurations apart."""

import hashlib
from collections.abc import Sequence

import msgspec

from lamplighter.cluster.parts import Part, ToldValue
from lamplighter.modules.loader import ConfiguredModule

__all__ = ["told_modules"]


def told_modules(entries: Sequence[ConfiguredModule]) -> ToldValue:
    """Return which modules *entries* name, in which order, with which configuration.

    The modules' code is not in it.
    """
    parts = (Part(it.path, it.where, _digest(it.config), it.shadow) for it in entries)
    return ToldValue(_digest([(it.path, it.config, it.shadow) for it in entries]), tuple(parts))


def _digest(value: object) -> str:
    encoded = msgspec.json.encode(value, enc_hook=repr, order="sorted")
    return hashlib.sha256(encoded).hexdigest()[:16]
