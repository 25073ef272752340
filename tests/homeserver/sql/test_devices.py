"""Devices: what deleting them costs."""

from lamplighter.database.memory import open_memory
from lamplighter.ids import DeviceId
from tests.contract.directories import ALICE, PHONE, subject_in
from tests.database.statements import traced_statements


async def test_deleting_devices_takes_as_many_statements_whatever_is_named() -> None:
    """Seven thousand names cost the same statements as one name."""
    with traced_statements() as statements:
        async with subject_in(open_memory(), "alice") as tested:
            counts = []
            for names in ([PHONE], [PHONE, *(DeviceId(f"no {it}") for it in range(7_000))]):
                await tested.directory.log_in(ALICE, device_id=PHONE)
                statements.clear()
                await tested.directory.delete_devices(ALICE, names)
                counts.append(len(statements))
    assert counts[0] == counts[1] < 10
