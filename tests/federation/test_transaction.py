"""Transactions: shape, limits, and the answer to one."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.clock import Timestamp
from lamplighter.errors import BadJson
from lamplighter.federation.event_ids import event_id_of
from lamplighter.federation.transaction import (
    Transaction,
    encode_transaction,
    parse_transaction,
    pdu_errors,
)
from lamplighter.ids import ServerName
from tests.federation.values import json_values

THERE: Final = ServerName("there.example")
EDU: Final[dict[str, Any]] = {"edu_type": "m.presence", "content": {"push": []}}
PDU: Final[dict[str, Any]] = {"type": "m.room.message", "event_id": "$1:there.example"}
WHOLE: Final[dict[str, Any]] = {
    "origin": THERE,
    "origin_server_ts": 1_532_991_320_875,
    "pdus": [PDU],
    "edus": [EDU],
}


def test_there_and_back() -> None:
    """A transaction that is encoded and parsed is the same."""
    transaction = Transaction(THERE, Timestamp(1_532_991_320_875), (EDU,), (PDU,))
    assert encode_transaction(transaction) == WHOLE
    assert parse_transaction(WHOLE, THERE) == transaction


def test_the_limits() -> None:
    """50 PDUs and 100 EDUs are allowed; both may be missing."""
    parsed = parse_transaction(WHOLE | {"pdus": [PDU] * 50, "edus": [EDU] * 100}, THERE)
    assert (len(parsed.pdus), len(parsed.edus)) == (50, 100)
    content = {"origin": THERE, "origin_server_ts": 5}
    assert parse_transaction(content, THERE) == Transaction(THERE, Timestamp(5))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"origin": None}, "origin: not the server that signed the request"),
        ({"origin": "here.example"}, "origin: not the server that signed the request"),
        ({"origin": 1}, "origin: not the server that signed the request"),
        ({"origin_server_ts": None}, "origin_server_ts: missing, or not an integer"),
        ({"origin_server_ts": 5.0}, "origin_server_ts: missing, or not an integer"),
        ({"origin_server_ts": True}, "origin_server_ts: missing, or not an integer"),
        ({"pdus": None}, "pdus: not an array"),
        ({"pdus": PDU}, "pdus: not an array"),
        ({"pdus": [PDU] * 51}, "pdus: more than 50"),
        ({"edus": EDU}, "edus: not an array"),
        ({"edus": [EDU] * 101}, "edus: more than 100"),
    ],
)
def test_another_shape(change: dict[str, Any], fault: str) -> None:
    """A malformed or too large transaction is a `BadJson` that names the field."""
    with pytest.raises(BadJson) as raised:
        parse_transaction(WHOLE | change, THERE)
    assert str(raised.value) == fault


@pytest.mark.parametrize(
    "misshapen",
    [None, "x", {"content": {}}, EDU | {"edu_type": 1}, {"edu_type": "x"}, EDU | {"content": []}],
)
def test_misshapen_edus(misshapen: object) -> None:
    """A malformed EDU, or PDU that is no object, is left out, and costs the others nothing."""
    content = WHOLE | {"edus": [EDU, misshapen, EDU], "pdus": [PDU, "x", PDU]}
    parsed = parse_transaction(content, THERE)
    assert (parsed.edus, parsed.pdus) == ((EDU, EDU), (PDU, PDU))


@given(
    json_values
    | st.builds(
        lambda change: WHOLE | change,
        st.fixed_dictionaries({}, optional=dict.fromkeys(WHOLE, json_values)),
    )
)
def test_any_content(content: object) -> None:
    """Any content is either a transaction or a `BadJson`."""
    try:
        transaction = parse_transaction(content, THERE)
    except BadJson:
        return
    assert transaction.origin == THERE


def test_the_answer() -> None:
    """The answer has an error for each PDU, by its given or computed ID."""
    error = {"error": "This server takes no events of rooms of other servers"}
    hashed = {name: value for name, value in PDU.items() if name != "event_id"}
    event_id = event_id_of(hashed)
    assert pdu_errors([PDU, hashed]) == {"pdus": {"$1:there.example": error, event_id: error}}
    assert pdu_errors([]) == {"pdus": {}}
    assert pdu_errors([{"event_id": "x"}]) == {"pdus": {}}
