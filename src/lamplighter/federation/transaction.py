"""Transactions: what is sent from server to server, checked for its shape and size.

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

__all__ = ["MAX_EDUS", "MAX_PDUS", "Transaction", "encode", "parse", "pdu_errors"]

MAX_PDUS: Final = 50
MAX_EDUS: Final = 100

_NO_ROOMS: Final = "This server takes no events of rooms of other servers"


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one server tells another in one request."""

    origin: ServerName
    origin_server_ts: Timestamp
    #: Objects, each with an `edu_type`, which is text, and a `content`, which is an object.
    edus: Sequence[Json] = ()
    #: Objects, of which nothing more is known.
    pdus: Sequence[Json] = ()


def encode(transaction: Transaction) -> Json:
    """Return the body of the request."""
    return {
        "origin": transaction.origin,
        "origin_server_ts": transaction.origin_server_ts,
        "pdus": list(transaction.pdus),
        "edus": list(transaction.edus),
    }


def parse(content: object, origin: ServerName) -> Transaction:
    """Return the transaction that *content* is, which *origin* has signed.

    Raises `BadJson`, which names the field, where *content* is of another shape, speaks in
    another server's name, or holds more PDUs or EDUs than a transaction may. Each PDU and EDU is
    judged alone: one that is misshapen is left out, for the others are not to be lost by it.
    """
    if not isinstance(content, dict):
        raise BadJson("body: not an object")
    if content.get("origin") != origin:
        raise BadJson("origin: not the server that signed the request")
    origin_server_ts = content.get("origin_server_ts")
    if not isinstance(origin_server_ts, int) or isinstance(origin_server_ts, bool):
        raise BadJson("origin_server_ts: missing, or not an integer")
    pdus = _objects(content, "pdus", MAX_PDUS)
    edus = tuple(edu for edu in _objects(content, "edus", MAX_EDUS) if _is_edu(edu))
    return Transaction(origin, Timestamp(origin_server_ts), edus, pdus)


def pdu_errors(pdus: Iterable[Mapping[str, Any]]) -> Json:
    """Return the answer to a transaction with *pdus*: each has an error, for none is taken.

    An event that neither has an ID nor anything to make it from cannot be answered.
    """
    event_ids = [event_id_of(pdu) for pdu in pdus]
    return {"pdus": {it: {"error": _NO_ROOMS} for it in event_ids if it is not None}}


def _objects(content: Mapping[str, Any], name: str, limit: int) -> tuple[Json, ...]:
    """Return the array *name*, which may be missing."""
    values = content.get(name, [])
    if not isinstance(values, list):
        raise BadJson(f"{name}: not an array")
    if len(values) > limit:
        raise BadJson(f"{name}: more than {limit}")
    return tuple(value for value in values if isinstance(value, dict))


def _is_edu(edu: Mapping[str, Any]) -> bool:
    return isinstance(edu.get("edu_type"), str) and isinstance(edu.get("content"), dict)
