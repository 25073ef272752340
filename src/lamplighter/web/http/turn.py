"""Between a connection and who answers one of its requests."""

from asyncio import BaseTransport, Event
from typing import Protocol

from lamplighter.web.http.hub import Hub
from lamplighter.web.http.request import Request
from lamplighter.web.http.timeouts import Limit

__all__ = ["Line", "Turn"]


class Turn(Protocol):
    """Who answers a request. It calls `Line.finished` once, unless it is told to give up."""

    @property
    def limit(self) -> Limit | None:
        """How long the client may leave it at this; None while it is not the client's turn."""

    def receive(self) -> None:
        """Learn that more of the request may have come."""

    def client_left(self) -> None:
        """Learn that the client has closed its half of the connection; it may be gone."""

    def give_up(self) -> None:
        """Learn that the connection is no more."""

    def cut_off(self) -> None:
        """Answer at once: the server stops."""


class Line(Protocol):
    """The connection, as a turn sees it."""

    @property
    def hub(self) -> Hub:
        """What all connections share."""

    @property
    def transport(self) -> BaseTransport:
        """What knows the addresses."""

    @property
    def writable(self) -> Event | None:
        """Set while more may be sent; None if that has always been so."""

    def connection_header(self, request: Request) -> bytes:
        """Return the header line, if any, that says what becomes of the connection.

        After the answer to *request* it is done as it says.
        """

    def closing_header(self) -> bytes:
        """Return the line that says that the connection ends with the answer; it will."""

    def write(self, data: bytes) -> None:
        """Send *data*."""

    def read_on(self) -> None:
        """Learn that some of the body was taken."""

    def finished(self, *, in_order: bool = True) -> None:
        """Learn that the answer is complete; or that it never will be, if not *in_order*."""
