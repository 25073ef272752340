"""Columns and expressions mean the same on every engine."""

import pytest
from sqlalchemy import literal, select

from lamplighter.database.dialects import byte_length, json_text, upsert
from lamplighter.database.engine import Database
from lamplighter.database.tables import destinations

SOUND = r'{"name": "Ada \"the\" 1st", "n": 7, "none": null}'
NUL = r'{"name": "\u0000", "n": 7}'


@pytest.mark.parametrize(
    ("content", "key", "text"),
    [(SOUND, "name", 'Ada "the" 1st'), (SOUND, "none", None), (SOUND, "other", None)],
)
async def test_json_text(database: Database, content: str, key: str, text: str | None) -> None:
    """The text under a key is found in JSON; what is not there is null."""
    async with database.read() as connection:
        found = await connection.execute(select(json_text(literal(content), key)))
        assert found.scalar_one() == text


async def test_json_with_a_nul(database: Database) -> None:
    """A NUL somewhere in the JSON is no error, on whichever engine."""
    async with database.read() as connection:
        found = await connection.execute(select(json_text(literal(NUL), "other")))
        assert found.scalar_one() is None


@pytest.mark.parametrize(
    ("text", "length"), [("", 0), ("Zoë", 4), ("🦊", 4), (r"C:\temp\x00 \"quoted\"", 22)]
)
async def test_byte_length(database: Database, text: str, length: int) -> None:
    """A text is as long as its UTF-8, backslashes and all."""
    async with database.read() as connection:
        found = await connection.execute(select(byte_length(literal(text))))
        assert found.scalar_one() == length


async def test_upsert(database: Database) -> None:
    """A row is inserted, and then replaced by the next with its key."""
    rows = [{"server_name": "a.test", "failures": n, "retry_at": 10 * n} for n in (1, 2)]
    async with database.write() as connection:
        for row in rows:
            await connection.execute(upsert(connection, destinations), row)
    async with database.read() as connection:
        assert (await connection.execute(select(destinations))).all() == [("a.test", 2, 20)]
