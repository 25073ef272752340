"""User-interactive authentication."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.requests import Request

from lamplighter.errors import InteractiveAuthNeeded, LimitExceeded, MissingParam
from lamplighter.homeserver.client.interactive import AuthData, PasswordStage, require_dummy
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester
from lamplighter.web.access_log import AccessLog
from lamplighter.web.address import ClientAddress
from lamplighter.web.body import convert
from lamplighter.web.limits import RateLimiter
from tests.homeserver.world import Person, World

REQUEST = Request({"type": "http", "headers": [], "client": ("192.0.2.1", 5)})
ALICE = Requester(UserId("@alice:demo"), DeviceId("PHONE"))
GOOD = {
    "type": "m.login.password",
    "identifier": {"type": "m.id.user", "user": "@alice:demo"},
    "password": "secret",
}


@pytest.fixture
async def stage(world: World) -> PasswordStage:
    """The password stage of a server where alice's password is "secret"."""
    await world.person("alice", "secret")
    limiter = RateLimiter(1, 3, world.clock)
    log = AccessLog(world.clock, world.logins.append, ClientAddress([]))
    return PasswordStage(world.directory, limiter, log)


def auth(**changes: Any) -> AuthData:
    """Return alice's auth with *changes*; None leaves a field out."""
    fields = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return convert(fields, AuthData)


@pytest.mark.parametrize("changes", [{}, {"identifier": None, "user": "alice"}])
async def test_the_right_password_is_enough(stage: PasswordStage, changes: dict[str, Any]) -> None:
    """The requester's password confirms the request, without any session before.

    `user` may stand in place of the identifier, as a localpart too.
    """
    await stage.confirm(ALICE, auth(**changes), REQUEST)


@pytest.mark.parametrize(
    "changes", [{"password": "wrong"}, {"identifier": {"type": "m.id.user", "user": "bob"}}]
)
async def test_a_wrong_password_may_be_tried_again(
    stage: PasswordStage, world: World, changes: dict[str, Any]
) -> None:
    """A wrong password, or somebody else's, is answered with the stage and the same session."""
    await world.person("bob", "secret")
    with pytest.raises(InteractiveAuthNeeded) as needed:
        await stage.confirm(ALICE, auth(session="mine", **changes), REQUEST)
    assert (needed.value.session, needed.value.wrong_password) == ("mine", True)


@pytest.mark.parametrize("given", [None, auth(type=None), auth(type="m.login.dummy")])
async def test_another_stage_is_not_enough(stage: PasswordStage, given: AuthData | None) -> None:
    """No auth, none of a type, or one of another type: the stage is still wanted."""
    with pytest.raises(InteractiveAuthNeeded) as needed:
        await stage.confirm(ALICE, given, REQUEST)
    assert (needed.value.stage, needed.value.wrong_password) == ("m.login.password", False)
    assert len(needed.value.session) > 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"password": None}, "auth.password: missing"),
        ({"identifier": None}, "auth.user: missing"),
        ({"identifier": {"type": "m.id.user"}}, "auth.identifier.user: missing"),
    ],
)
async def test_what_is_missing_is_named(
    stage: PasswordStage, changes: dict[str, Any], message: str
) -> None:
    """A stage without its fields is an error that names the field."""
    with pytest.raises(MissingParam) as missing:
        await stage.confirm(ALICE, auth(**changes), REQUEST)
    assert str(missing.value) == message


async def test_guessing_is_limited(stage: PasswordStage) -> None:
    """A token holder who tries passwords soon has to wait."""
    for _ in range(3):
        with pytest.raises(InteractiveAuthNeeded):
            await stage.confirm(ALICE, auth(password="wrong"), REQUEST)
    with pytest.raises(LimitExceeded) as limit:
        await stage.confirm(ALICE, auth(), REQUEST)
    assert limit.value.retry_after == timedelta(seconds=1)


def test_the_dummy_stage_is_only_named() -> None:
    """m.login.dummy needs to be named, and nothing else will do."""
    require_dummy(convert({"type": "m.login.dummy"}, AuthData))
    for given in (None, auth(), auth(type=None)):
        with pytest.raises(InteractiveAuthNeeded) as needed:
            require_dummy(given)
        assert needed.value.stage == "m.login.dummy"


async def test_a_wrong_password_over_http(world: World) -> None:
    """A client sees 401 M_FORBIDDEN beside the flows, so that it can ask again."""
    alice: Person = await world.person("alice", "secret")
    response = await alice.post("/account/deactivate", {"auth": GOOD | {"password": "x"}})
    assert response.status == 401
    assert response.json["errcode"] == "M_FORBIDDEN"
    assert response.json["flows"] == [{"stages": ["m.login.password"]}]
