"""GET status does the same for users whom the viewer may not see and for unknown users."""

from typing import Any, Final

import pytest

from lamplighter.devtools.client import RequestFailed
from lamplighter.devtools.server import ModuleToLoad
from tests.compat.modules.held import Held
from tests.compat.world import BOB, UNSEEN, World, world
from tests.database.statements import traced_statements

NOBODY = "@nobody:example.com"
ELSEWHERE = "@nobody:elsewhere.example"
NAMING: Final[ModuleToLoad] = (Held, {"routes": {}, "named": {}})


async def refusal(w: World, user_id: str) -> dict[str, Any]:
    """Return what a GET for the user is refused with."""
    with pytest.raises(RequestFailed) as refused:
        await w.alice.status_of(user_id)
    return {"status": refused.value.status, **refused.value.content}


@pytest.mark.parametrize("user_id", [BOB, NOBODY, ELSEWHERE])
async def test_the_modules_are_asked_as_often(user_id: str) -> None:
    """Each module is asked once, about one user, whether the user is known or not."""
    async with world(NAMING) as w:
        await w.bob.set_status("online", "hello")
        await w.alice.sync(**UNSEEN)
        asked = w.server.module(Held).asked
        asked.clear()
        told = await refusal(w, user_id)
        assert told["errcode"] == "M_FORBIDDEN"
        assert [len(question) for question in asked if isinstance(question, list)] == [1]
        assert [question for question in asked if isinstance(question, str)] == []


async def test_whoever_asks_does_not_choose_names() -> None:
    """Modules are not asked about the name of an unknown user."""
    async with world(NAMING) as w:
        await w.alice.sync(**UNSEEN)
        await refusal(w, NOBODY)
        module = w.server.module(Held)
        assert NOBODY not in str(module.asked)


async def test_the_same_statements() -> None:
    """The database gets the same statements in the same order for any user."""
    with traced_statements() as statements:
        async with world(NAMING) as w:
            await w.bob.set_status("online", "hello")
            await w.alice.sync(**UNSEEN)
            heard = []
            for user_id in (BOB, NOBODY, ELSEWHERE):
                await w.server.settled()
                statements.clear()
                await refusal(w, user_id)
                heard.append([it.replace(user_id, "") for it in statements])
            assert heard[0] == heard[1] == heard[2]
