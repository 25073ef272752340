"""The operator's lists of servers with which this server exchanges requests, in both directions."""

import re
from collections.abc import Iterable

from lamplighter.ids import ServerName

__all__ = ["ServerPolicy"]


class ServerPolicy:
    """Admits the servers in *allow* (None: all servers) that are not in *deny*.

    In both lists `*` matches any text and `?` one character: `*.example.org` matches every server
    below `example.org`, but not `example.org`. Case does not matter, as in DNS. A name without a
    port matches the host on every port.
    """

    def __init__(self, allow: Iterable[str] | None = None, deny: Iterable[str] = ()) -> None:
        self._allowed = None if allow is None else _pattern(allow)
        self._denied = _pattern(deny)

    def admits(self, server: ServerName) -> bool:
        """Return whether this server may exchange requests with *server*."""
        if self._matches(self._denied, server):
            return False
        return self._allowed is None or self._matches(self._allowed, server)

    @staticmethod
    def _matches(pattern: re.Pattern[str], server: ServerName) -> bool:
        host, port = _split(server)
        return any(pattern.fullmatch(name) for name in (host, host + port))


def _split(server: str) -> tuple[str, str]:
    """Return host and port in the form that is compared: lower case, no dot of the DNS root."""
    found = re.fullmatch(r"(.*?)(:[0-9]*)?", server.lower(), re.DOTALL)
    assert found is not None  # any text has this form
    return found[1].rstrip("."), found[2] or ""


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that matches any of *names*, and nothing if there are no names."""
    escaped = [re.escape("".join(_split(name))) for name in names]
    choices = [it.replace(r"\*", ".*").replace(r"\?", ".") for it in escaped]
    return re.compile("|".join(choices) if choices else r"(?!)", re.DOTALL)
