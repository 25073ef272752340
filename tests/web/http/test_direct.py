"""Exchanges over connections: what an endpoint sees and may do."""

from structlog.testing import capture_logs

from lamplighter.errors import UnknownToken
from lamplighter.web.http.exchange import Exchange
from lamplighter.web.http.hub import Hub
from tests.web.http.peer import House, Peer, answered


def asking(house: House, endpoint: object) -> Peer:
    """Return a client that has asked *endpoint*."""
    peer = Peer(Hub(house.application, {"/poll": endpoint}, house.clock))  # type: ignore[dict-item] # any callable
    peer.send("GET /poll?a=%20 HTTP/1.1\r\nX: y\r\nAuthorization: Bearer t\r\n\r\n")
    return peer


async def test_what_is_asked(house: House) -> None:
    """An endpoint sees all of the request."""
    seen: list[object] = []

    def look(exchange: Exchange) -> None:
        seen.extend((exchange.method, exchange.path, exchange.query, exchange.authorization))
        seen.extend(exchange.headers)

    asking(house, look)
    headers = [(b"x", b"y"), (b"authorization", b"Bearer t")]
    assert seen == ["GET", "/poll", "a=%20", b"Bearer t", *headers]


async def test_one_answer(house: House) -> None:
    """There is one answer to a request, with headers of its own if need be."""

    def answer_twice(exchange: Exchange) -> None:
        exchange.answer(429, b"{}", ((b"retry-after", b"1"),))
        exchange.answer(200, b"again")

    assert asking(house, answer_twice).received == answered(
        "{}", "429 Too Many Requests", "retry-after: 1\r\n"
    )


async def test_a_defect(house: House) -> None:
    """An endpoint that fails is answered for, and it is logged, unless it is the client's fault."""

    def fail(exchange: Exchange) -> None:
        raise ValueError

    def refuse(exchange: Exchange) -> None:
        raise UnknownToken("no")

    with capture_logs() as logs:
        failed = asking(house, fail)
        refused = asking(house, refuse)
    error = '{"errcode":"M_UNKNOWN","error":"Internal server error"}'
    assert failed.received == answered(error, "500 Internal Server Error")
    error = '{"errcode":"M_UNKNOWN_TOKEN","error":"no","soft_logout":false}'
    assert refused.received == answered(error, "401 Unauthorized")
    assert [(line["event"], line["path"]) for line in logs] == [("request failed", "/poll")]


async def test_a_defect_after_the_answer(house: House) -> None:
    """An endpoint that fails after its answer has answered."""

    def answer_and_fail(exchange: Exchange) -> None:
        exchange.answer(200, b"{}")
        raise ValueError

    with capture_logs() as logs:
        peer = asking(house, answer_and_fail)
    assert (peer.received, len(logs)) == (answered("{}"), 1)
