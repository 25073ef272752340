"""The keys in which two configurations differ."""

from collections.abc import Iterator

import msgspec

from lamplighter.config.model import Config

__all__ = ["changed_keys"]


def changed_keys(before: Config, after: Config) -> list[str]:
    """Return the dotted keys whose values differ, in the order of the configuration."""
    return list(_changed(before, after, ""))


def _changed(before: msgspec.Struct, after: msgspec.Struct, prefix: str) -> Iterator[str]:
    for field in msgspec.structs.fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        name = prefix + field.encode_name
        if old == new:
            continue
        if isinstance(old, msgspec.Struct) and isinstance(new, msgspec.Struct):
            yield from _changed(old, new, f"{name}.")
        else:
            yield name
