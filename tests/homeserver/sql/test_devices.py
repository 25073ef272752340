"""Devices: what deleting them costs."""

from lamplighter.database.migrate import migrate
from lamplighter.database.sqlite import open_memory
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import DeviceId, ServerName
from tests.contract.directories import ALICE, PHONE, SERVER
from tests.database.statements import traced_statements


async def test_deleting_devices_takes_as_many_statements_whatever_is_named() -> None:
    """Seven thousand names cost the same statements as one name."""
    with traced_statements() as statements:
        database = open_memory()
        await migrate(database)
        directory = SqlDirectory(database, ServerName(SERVER), FakeClock())
        await directory.start()
        await directory.register("alice", None, device_id=PHONE)
        counts = []
        for names in ([PHONE], [PHONE, *(DeviceId(f"no {it}") for it in range(7_000))]):
            await directory.log_in(ALICE, device_id=PHONE)
            statements.clear()
            await directory.delete_devices(ALICE, names)
            counts.append(len(statements))
        await database.close()
    assert counts[0] == counts[1] < 10
