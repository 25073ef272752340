"""Routers in the older style: `presence: {presence_router: {module:, config:}}`."""

import pytest

from lamplighter.devtools.client import RequestFailed
from lamplighter.routing.reasons import Module
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, world


def configured(name: str) -> str:
    """Return a configuration with an older router that shows bob to alice."""
    return f"""
presence:
  presence_router:
    module: tests.compat.modules.legacy_routers.{name}
    config: {{routes: {{"{ALICE}": ["{BOB}"]}}}}
"""


@pytest.mark.parametrize("name", ["SyncRouter", "AsyncRouter", "RegisteringRouter"])
async def test_routes(name: str) -> None:
    """Built with `config=` and `module_api=`, its methods, async or not, route all the same."""
    async with world(config=configured(name)) as w:
        await w.alice.sync(**UNSEEN)
        told = w.listen()
        await w.bob.set_status("unavailable", "hello")
        status = {"presence": "unavailable", "last_active_ago": 0, "status_msg": "hello"}
        assert told == [(ALICE, BOB, (Module(name),))]
        assert (await w.alice.sync(**UNSEEN)).presence == {BOB: status}
        assert (await w.alice.first_sync(**UNSEEN)).presence[BOB] == status
        assert await w.alice.status_of(w.bob) == status
        assert BOB not in (await w.charlie.first_sync(**UNSEEN)).presence
        with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
            await w.charlie.status_of(w.bob)


async def test_beside_the_list() -> None:
    """An older router and those of `modules:` work together, the older one last in order."""
    modules = f"""
modules:
  - module: tests.compat.modules.routers.Routes
    config: {{routes: {{"{ALICE}": ["{BOB}", "{CHARLIE}"]}}}}
"""
    async with world(config=configured("AsyncRouter") + modules) as w:
        await w.alice.sync(**UNSEEN)
        told = w.listen()
        await w.bob.set_status("unavailable")
        await w.charlie.set_status("unavailable")
        assert told == [
            (ALICE, BOB, (Module("Routes"), Module("AsyncRouter"))),
            (ALICE, CHARLIE, (Module("Routes"),)),
        ]
