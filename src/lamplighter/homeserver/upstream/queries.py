"""Queries on their way to the homeserver: all that is not ours stays as the client sent it."""

from datetime import timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, quote, unquote_plus

from lamplighter.clock import milliseconds

__all__ = ["SYNC", "acts_for", "question_of", "sync_target"]

SYNC: Final = "/_matrix/client/v3/sync"

#: What each request to the homeserver gets anew.
_OURS: Final = frozenset({"since", "timeout", "set_presence"})


@lru_cache(1_000)
def question_of(query: str) -> str:
    """Return the *query* of a `/sync` without token, time-out and presence.

    Two polls of one device with the same question and the same token get the same answer.
    """
    pairs = query.split("&")
    return "&".join(it for it in pairs if unquote_plus(it.partition("=")[0]) not in _OURS)


def sync_target(question: str, since: str | None, timeout: timedelta) -> bytes:
    """Return the target of the request that asks the homeserver *question*.

    Presence is set here, so the homeserver is not to learn of it.
    """
    ours = f"timeout={milliseconds(timeout)}&set_presence=offline"
    token = "" if since is None else f"&since={quote(since, safe='')}"
    return f"{SYNC}?{question}{'&' if question else ''}{ours}{token}".encode("latin-1")


def acts_for(query: str) -> str:
    """Return the part of a query that names the user for whom an application service acts.

    It is part of who sends a request, as the access token is; "" for everybody else.
    """
    if "user_id=" not in query:
        return ""
    named = [
        f"{name}={quote(value, safe='')}"
        for name, value in parse_qsl(query, keep_blank_values=True)
        if name in ("user_id", "device_id", "org.matrix.msc3202.device_id")
    ]
    return "&".join(named)
