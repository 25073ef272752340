"""The parts that all endpoints of the client API share, whichever homeserver serves them."""

from dataclasses import dataclass

from lamplighter.clock import Clock
from lamplighter.delivery.tokens import Tokens
from lamplighter.service import Core
from lamplighter.web.access_log import AccessLog
from lamplighter.web.auth import Authenticator
from lamplighter.web.client.long_poll import LongPoll
from lamplighter.web.places import Places

__all__ = ["ClientParts"]


@dataclass(frozen=True, slots=True)
class ClientParts:
    """The parts that endpoints of the client API share."""

    clock: Clock
    authenticator: Authenticator
    core: Core
    long_poll: LongPoll
    tokens: Tokens
    #: The places for expensive answers.
    places: Places
    access_log: AccessLog
