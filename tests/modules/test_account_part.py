"""Accounts, profiles, account data and requests through the API."""

import pytest
from starlette.requests import Request

from lamplighter.modules.synapse.errors import (
    AuthError,
    InvalidClientCredentialsError,
    InvalidClientTokenError,
    MissingClientTokenError,
)
from lamplighter.modules.synapse.types import ProfileInfo, Requester, UserID, UserInfo
from tests.modules.fakes import ALICE, BOB, World


def request(query: str = "", **headers: str) -> Request:
    """Return a request as a web resource gets it."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "query_string": query.encode()})


async def test_userinfo(running: World) -> None:
    """An account has its creation time in seconds, and its user ID as it is registered; an unknown
    account is None, and no administrator.
    """
    api = running.api()
    assert await api.check_user_exists("@Alice:example.com") == ALICE
    assert await api.check_user_exists("@nobody:example.com") is None
    users = [ALICE, BOB, "@nobody:example.com"]
    assert [await api.is_user_admin(user) for user in users] == [True, False, False]
    assert await api.get_userinfo_by_id(ALICE) == UserInfo(
        UserID("alice", "example.com"), True, False, 1_700_000_000
    )
    info = await api.get_userinfo_by_id(UserID.from_string(BOB))
    assert info is not None
    assert (info.is_admin, info.is_deactivated, info.is_guest) == (False, True, False)
    assert await api.get_userinfo_by_id("@nobody:example.com") is None
    assert await api.get_userinfo_by_id("nonsense") is None


async def test_profile(running: World) -> None:
    """A profile is found by its localpart; an unknown user has an empty one."""
    api = running.api()
    profile = await api.get_profile_for_user("alice")
    assert profile == ProfileInfo("mxc://example.com/alice", "Alice")
    assert profile.displayname == "Alice"
    assert await api.get_profile_for_user("nobody") == ProfileInfo(None, None)


@pytest.mark.parametrize(
    "req",
    [
        request(authorization="Bearer bobs-token"),
        request(authorization="bearer  bobs-token"),
        request("access_token=bobs-token"),
    ],
)
async def test_user_by_request(running: World, req: Request) -> None:
    """The access token, in the header or in the query, identifies user and device."""
    assert await running.api().get_user_by_req(req, allow_guest=True) == Requester(
        UserID("bob", "example.com"), "PHONE", authenticated_entity=BOB
    )


async def test_a_guest(running: World) -> None:
    """A guest is refused, unless the module allows guests; then it learns that it is one."""
    running.directory.bob_is_a_guest = True
    req = request(authorization="Bearer bobs-token")
    with pytest.raises(AuthError) as raised:
        await running.api().get_user_by_req(req)
    assert (raised.value.code, raised.value.errcode) == (403, "M_GUEST_ACCESS_FORBIDDEN")
    assert (await running.api().get_user_by_req(req, allow_guest=True)).is_guest


@pytest.mark.parametrize(
    ("req", "error"),
    [
        (request(), MissingClientTokenError),
        (request(authorization="Basic bobs-token"), MissingClientTokenError),
        (request("access_token=stolen"), InvalidClientTokenError),
    ],
)
async def test_request_of_nobody(
    running: World, req: Request, error: type[InvalidClientCredentialsError]
) -> None:
    """A request without a valid access token is an InvalidClientCredentialsError."""
    with pytest.raises(error) as raised:
        await running.api().get_user_by_req(req)
    assert isinstance(raised.value, InvalidClientCredentialsError)
    assert raised.value.code == 401


async def test_account_data(running: World) -> None:
    """Stored account data can be read; other types are None. Data that are no dict are refused."""
    manager = running.api().account_data_manager
    await manager.put_global(ALICE, "org.example.rule", {"on": True})
    assert await manager.get_global(ALICE, "org.example.rule") == {"on": True}
    assert await manager.get_global(ALICE, "org.example.other") is None
    with pytest.raises(TypeError):
        await manager.put_global(ALICE, "t", ["a"])  # type: ignore[arg-type]  # as a module may


@pytest.mark.parametrize("user", ["@x:elsewhere.org", "nonsense", "@nobody:example.com"])
async def test_account_data_of_others(running: World, user: str) -> None:
    """Account data of a user who is not of this server is a ValueError."""
    with pytest.raises(ValueError):
        await running.api().account_data_manager.put_global(user, "t", {})
