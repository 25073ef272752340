"""Answers that are made while they are sent."""

from collections.abc import Iterator

import pytest
from starlette.responses import Response
from starlette.types import Message

from lamplighter.pieces import PORTION
from lamplighter.web.in_pieces import HeldResponse, JsonInPieces


async def sent(response: Response) -> list[Message]:
    """Return the messages of a response."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    await response({"type": "http", "method": "GET"}, receive, send)
    return messages


async def test_a_small_answer() -> None:
    """A small answer is sent at once, and says how long it is."""
    start, body = await sent(JsonInPieces({"chunk": iter([1, 2])}))
    assert (start["status"], dict(start["headers"])) == (
        200,
        {b"content-type": b"application/json", b"content-length": b"15"},
    )
    assert body == {"type": "http.response.body", "body": b'{"chunk":[1,2]}', "more_body": False}


async def test_a_large_answer() -> None:
    """A large answer is sent in portions, without a length."""
    text = "x" * (PORTION // 2)
    start, *bodies = await sent(JsonInPieces({"chunk": (text for _ in range(5))}))
    assert dict(start["headers"]) == {b"content-type": b"application/json"}
    assert [PORTION <= len(it["body"]) < 2 * PORTION for it in bodies] == [True, True, False]
    assert [it["more_body"] for it in bodies] == [True, True, False]
    assert b"".join(it["body"] for it in bodies) == b'{"chunk":[%b]}' % b",".join(
        [b'"%b"' % text.encode()] * 5
    )


async def test_what_fails_before_the_first_portion() -> None:
    """An answer that fails before anything is sent can be answered with its error."""

    def failing() -> Iterator[int]:
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        await sent(JsonInPieces({"chunk": failing()}))


@pytest.mark.parametrize("fails", [False, True])
async def test_who_holds_something(fails: bool) -> None:
    """What an answer holds is given back once it is sent, or has failed."""
    given_back: list[str] = []
    content = map(int, ["x"]) if fails else iter([1])
    response = HeldResponse(JsonInPieces(content), lambda: given_back.append("the place"))
    assert given_back == []
    try:
        await sent(response)
    except ValueError:
        assert fails
    assert given_back == ["the place"]
