"""Access tokens: what is kept of them, and a revocation that comes at a bad moment."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import delete, select

from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.tables import devices
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import UnknownToken
from lamplighter.homeserver.sql.devices import AccessTokens, hash_token
from lamplighter.homeserver.sql.ledger import Ledger
from tests.contract.directories import refused, subject_in


class SlowLedger(Ledger):
    """Something happens after a read has seen the database and before its reader goes on."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, FakeClock())
        self.meanwhile: list[Callable[[], Awaitable[None]]] = []

    async def fetch(self, statement: Statement) -> Sequence[tuple[Any, ...]]:
        rows = await super().fetch(statement)
        while self.meanwhile:
            await self.meanwhile.pop()()
        return rows


async def test_only_hashes_are_kept() -> None:
    """The database holds no access token, only its SHA-256."""
    database = open_memory()
    async with subject_in(database) as tested:
        login = await tested.directory.register("alice", None)
        async with database.read() as connection:
            row = (await connection.execute(select(devices))).one()
    assert row.token_hash == hash_token(login.access_token)
    assert login.access_token not in map(str, row)


async def test_a_revocation_during_the_look_up() -> None:
    """A token that is revoked while it is looked up is not remembered as good."""
    database = open_memory()
    async with subject_in(database) as tested:
        login = await tested.directory.register("alice", None)
        ledger = SlowLedger(database)
        tokens = AccessTokens(ledger)

        async def revoke() -> None:
            async with database.write() as connection:
                await connection.execute(delete(devices))
            tokens.revoke([hash_token(login.access_token)])

        ledger.meanwhile.append(revoke)
        await refused(UnknownToken, tokens.authenticate(login.access_token))
