"""Names with wildcards, as in clients' filters."""

from collections.abc import Iterable

__all__ = ["Globs", "matches"]


class Globs:
    """A list of names in which `*` matches any text and any other character matches itself."""

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        self._plain = frozenset(name for name in names if "*" not in name)
        self._wild = tuple(name for name in dict.fromkeys(names) if "*" in name)

    def match(self, text: str) -> bool:
        """Return whether one of the names matches *text*."""
        return text in self._plain or any(matches(name, text) for name in self._wild)


def matches(pattern: str, text: str) -> bool:
    """Return whether *pattern* matches *text*. There is no backtracking: the time is linear."""
    first, *others = pattern.split("*")
    if not others:
        return pattern == text
    *middle, last = others
    place, end = len(first), len(text) - len(last)
    if not text.startswith(first) or not text.endswith(last) or place > end:
        return False
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True
