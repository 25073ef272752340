"""How the presence of users is kept, and what the log says where it is not."""

from structlog.testing import capture_logs

from lamplighter.errors import StorageUnavailable
from lamplighter.service.batch import done
from lamplighter.service.keeper import log_failure
from tests.routing.people import ALICE, BOB
from tests.service.parts import Parts
from tests.test_futures import failed, gone


async def test_kept_at_the_position() -> None:
    """A user is kept as the owner has them, at the position at which that was told."""
    parts = Parts()
    await parts.publish(BOB, "one")
    position = parts.stream.position
    await parts.keeper.keep([BOB, ALICE])
    (kept,) = parts.store.saves[-1]
    assert (kept.user, kept.position) == (parts.tracker.user(BOB), position)


async def test_what_the_log_says() -> None:
    """A disk that fails is told elsewhere, once; everything else is a defect."""
    with capture_logs() as logs:
        for work in (done(), gone(), failed(StorageUnavailable("full")), failed(ValueError())):
            log_failure(work)
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("presence could not be saved; it is kept in memory", "debug"),
        ("publishing failed", "error"),
    ]
