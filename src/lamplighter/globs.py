"""Names with wildcards, as clients' filters have them."""

from collections.abc import Iterable

__all__ = ["Globs", "matches"]


class Globs:
    """A list of names, in which `*` stands for anything, and every other character for itself."""

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        self._plain = frozenset(name for name in names if "*" not in name)
        self._wild = tuple(name for name in dict.fromkeys(names) if "*" in name)

    def match(self, text: str) -> bool:
        """Tell whether one of the names is *text*."""
        return text in self._plain or any(matches(name, text) for name in self._wild)


def matches(pattern: str, text: str) -> bool:
    """Tell whether *pattern* is *text*. Each part is looked for once, never to be given back."""
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
