"""Which servers are spoken with, in both directions: as the operator says."""

import re
from collections.abc import Iterable

from lamplighter.ids import ServerName

__all__ = ["ServerPolicy"]


class ServerPolicy:
    """Admits the servers of *allow* (None: all), but for those of *deny*.

    Both hold server names, in which `*` stands for any text and `?` for one character:
    `*.example.org` is every server below `example.org`, and not that one itself. Upper and lower
    case are alike, as in DNS. A name without a port means the host on any port.
    """

    def __init__(self, allow: Iterable[str] | None = None, deny: Iterable[str] = ()) -> None:
        self._allowed = None if allow is None else _pattern(allow)
        self._denied = _pattern(deny)

    def admits(self, server: ServerName) -> bool:
        """Tell whether *server* may be spoken with."""
        if self._matches(self._denied, server):
            return False
        return self._allowed is None or self._matches(self._allowed, server)

    @staticmethod
    def _matches(pattern: re.Pattern[str], server: ServerName) -> bool:
        host, port = _split(server)
        return any(pattern.fullmatch(name) for name in (host, host + port))


def _split(server: str) -> tuple[str, str]:
    """Return host and port as they are compared: the dot of the root is nobody's difference."""
    found = re.fullmatch(r"(.*?)(:[0-9]*)?", server.lower(), re.DOTALL)
    assert found is not None  # any text has this form
    return found[1].rstrip("."), found[2] or ""


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Return what matches any of *names*, and nothing if there are none."""
    choices = [_glob("".join(_split(name))) for name in names]
    return re.compile("|".join(choices) if choices else r"(?!)", re.DOTALL)


def _glob(name: str) -> str:
    return re.escape(name).replace(r"\*", ".*").replace(r"\?", ".")
