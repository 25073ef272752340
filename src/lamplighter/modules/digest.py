"""What tells the modules of two configurations apart."""

import hashlib
from collections.abc import Sequence

import msgspec

from lamplighter.modules.loader import ConfiguredModule

__all__ = ["digest_of"]


def digest_of(entries: Sequence[ConfiguredModule]) -> str:
    """Return a digest of which modules *entries* name, in which order, with which configuration.

    The modules' code is not in it.
    """
    asked = [(it.path, it.config, it.shadow) for it in entries]
    encoded = msgspec.json.encode(asked, enc_hook=repr, order="sorted")
    return hashlib.sha256(encoded).hexdigest()[:16]
