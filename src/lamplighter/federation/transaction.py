"""Transactions: the requests in which servers send each other EDUs and PDUs.

Implements <https://spec.matrix.org/latest/server-server-api/#transactions>.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lamplighter.clock import Timestamp
from lamplighter.errors import BadJson
from lamplighter.federation.event_ids import event_id_of
from lamplighter.ids import ServerName
from lamplighter.ports import Json

__all__ = [
    "MAX_EDUS",
    "MAX_PDUS",
    "Transaction",
    "encode_transaction",
    "parse_transaction",
    "pdu_errors",
]

MAX_PDUS: Final = 50
MAX_EDUS: Final = 100

_NO_ROOMS: Final = "This server takes no events of rooms of other servers"


@dataclass(frozen=True, slots=True)
class Transaction:
    """The content of one request from server to server."""

    origin: ServerName
    origin_server_ts: Timestamp
    #: JSON objects. Each has a text as its `edu_type` and an object as its `content`.
    edus: Sequence[Json] = ()
    #: JSON objects whose content was not checked.
    pdus: Sequence[Json] = ()


def encode_transaction(transaction: Transaction) -> Json:
    """Return the body of the request."""
    return {
        "origin": transaction.origin,
        "origin_server_ts": transaction.origin_server_ts,
        "pdus": list(transaction.pdus),
        "edus": list(transaction.edus),
    }


def parse_transaction(content: object, origin: ServerName) -> Transaction:
    """Return *content*, the body of a request that *origin* has signed, as a transaction.

    Raises `BadJson`, which names the field, if *content* has another shape, names another origin,
    or holds more PDUs or EDUs than a transaction may. A malformed PDU or EDU is left out, so that
    it does not cost the others.
    """
    if not isinstance(content, dict):
        raise BadJson("body: not an object")
    if content.get("origin") != origin:
        raise BadJson("origin: not the server that signed the request")
    origin_server_ts = content.get("origin_server_ts")
    if not isinstance(origin_server_ts, int) or isinstance(origin_server_ts, bool):
        raise BadJson("origin_server_ts: missing, or not an integer")
    pdus = _objects(content, "pdus", MAX_PDUS)
    edus = tuple(
        edu
        for edu in _objects(content, "edus", MAX_EDUS)
        if isinstance(edu.get("edu_type"), str) and isinstance(edu.get("content"), dict)
    )
    return Transaction(origin, Timestamp(origin_server_ts), edus, pdus)


def pdu_errors(pdus: Iterable[Mapping[str, Any]]) -> Json:
    """Return the answer to a transaction with *pdus*: an error for each, since none is accepted.

    The answer leaves out an event that has no ID and from which no ID can be computed.
    """
    event_ids = [event_id_of(pdu) for pdu in pdus]
    return {"pdus": {it: {"error": _NO_ROOMS} for it in event_ids if it is not None}}


def _objects(content: Mapping[str, Any], name: str, limit: int) -> tuple[Json, ...]:
    """Return the objects in the array *name*; none if there is no such array."""
    values = content.get(name, [])
    if not isinstance(values, list):
        raise BadJson(f"{name}: not an array")
    if len(values) > limit:
        raise BadJson(f"{name}: more than {limit}")
    return tuple(value for value in values if isinstance(value, dict))
