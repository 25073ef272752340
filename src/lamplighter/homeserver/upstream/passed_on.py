"""An error of the homeserver's, for a client whose request is answered here."""

import msgspec

from lamplighter.errors import HomeserverUnreachable, LamplighterError, PassedOn
from lamplighter.homeserver.upstream.connection import UpstreamAnswer

__all__ = ["passed_on"]


def passed_on(answer: UpstreamAnswer) -> LamplighterError:
    """Return what stands for an answer that is no 200: the homeserver's own words.

    A proxy's page of HTML says that the homeserver is away.
    """
    try:
        msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return HomeserverUnreachable(f"The homeserver's proxy answered {answer.status}")
    later = [(name, value) for name, value in answer.headers if name == b"retry-after"]
    return PassedOn(answer.status, answer.body, later)
