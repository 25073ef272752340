"""`ModuleApi`, the part about users: accounts, profiles, account data, requests."""

from starlette.requests import Request

from lamplighter import errors
from lamplighter.ids import UserId, is_user_id, parse_user_id, server_of
from lamplighter.modules.parts import ApiPart
from lamplighter.modules.synapse.errors import (
    AuthError,
    Codes,
    InvalidClientTokenError,
    MissingClientTokenError,
)
from lamplighter.modules.synapse.types import (
    JsonDict,
    JsonMapping,
    ProfileInfo,
    Requester,
    UserID,
    UserInfo,
    create_requester,
)
from lamplighter.ports import Account

__all__ = ["AccountDataManager", "AccountPart"]


class AccountPart(ApiPart):
    """Accounts of this server."""

    @property
    def account_data_manager(self) -> "AccountDataManager":
        """The object that reads and writes users' account data."""
        return AccountDataManager(self._module, self._parts)

    async def get_userinfo_by_id(self, user_id: str | UserID) -> UserInfo | None:
        """Return the account's data, or None if there is no account."""
        account = await self._account(user_id)
        if account is None:
            return None
        return UserInfo(
            UserID.from_string(account.user_id),
            is_admin=account.is_admin,
            is_deactivated=account.is_deactivated,
            creation_ts=account.created_ts // 1000,
        )

    async def check_user_exists(self, user_id: str) -> str | None:
        """Return the user ID as it is registered, or None if there is no account."""
        for candidate in dict.fromkeys((user_id, user_id.lower())):
            account = await self._account(candidate)
            if account is not None:
                return account.user_id
        return None

    async def is_user_admin(self, user_id: str) -> bool:
        """Tell whether the user is an administrator of this server."""
        account = await self._account(user_id)
        return account is not None and account.is_admin

    async def get_profile_for_user(self, localpart: str) -> ProfileInfo:
        """Return the profile of a local user; an empty one if there is no account."""
        user_id = UserId(f"@{localpart}:{self._parts.server.server_name}")
        directory = self._parts.directory
        try:
            profile = await self._serve("get_profile", lambda: directory.profile(user_id))
        except errors.NotFound:
            return ProfileInfo(None, None)
        return ProfileInfo(profile.avatar_url, profile.displayname)

    async def get_user_by_req(
        self, req: Request, allow_guest: bool = False, allow_expired: bool = False
    ) -> Requester:
        """Return the sender of *req*, the request that a web resource has got.

        Raises `InvalidClientCredentialsError` without a valid access token, and `AuthError` for a
        guest unless *allow_guest*. *allow_expired* has no effect: accounts do not expire.
        """
        del allow_expired
        token = _access_token(req)
        directory = self._parts.directory
        try:
            requester = await self._serve("authenticate", lambda: directory.authenticate(token))
        except errors.UnknownToken as error:
            raise InvalidClientTokenError from error
        except errors.UserDeactivated as error:
            raise AuthError(403, "This account was deactivated") from error
        is_guest = directory.is_guest(requester.user_id)
        if is_guest and not allow_guest:
            raise AuthError(403, "Guests may not use this", Codes.GUEST_ACCESS_FORBIDDEN)
        return create_requester(requester.user_id, requester.device_id, is_guest=is_guest)

    async def _account(self, user_id: str | UserID) -> Account | None:
        # Modules pass strings and UserIDs, because Synapse annotates one method with UserID.
        text = str(user_id)
        if not is_user_id(text):
            return None
        directory = self._parts.directory
        return await self._serve("get account", lambda: directory.account(UserId(text)))


class AccountDataManager(ApiPart):
    """Account data of local users; its methods raise `ValueError` for other users."""

    async def get_global(self, user_id: str, data_type: str) -> JsonMapping | None:
        """Return the user's data of this type, or None."""
        local = self._local(user_id)
        directory = self._parts.directory
        return await self._serve(
            "get account data", lambda: directory.account_data(local, None, data_type)
        )

    async def put_global(self, user_id: str, data_type: str, new_data: JsonDict) -> None:
        """Store the user's data of this type; raise `TypeError` if they are no dict."""
        _check_account_data(data_type, new_data)
        local = self._local(user_id)
        directory = self._parts.directory
        if await self._serve("get account", lambda: directory.account(local)) is None:
            raise ValueError(f"there is no user {user_id}")
        await self._change(
            "set_account_data", lambda: directory.set_account_data(local, None, data_type, new_data)
        )

    def _local(self, user_id: str) -> UserId:
        try:
            parsed = parse_user_id(user_id)
        except errors.InvalidId as error:
            raise ValueError(str(error)) from error
        if server_of(parsed) != self._parts.server.server_name:
            raise ValueError(f"{user_id} is not a user of this server")
        return parsed


def _check_account_data(data_type: object, new_data: object) -> None:
    if not isinstance(data_type, str) or not isinstance(new_data, dict):
        raise TypeError("account data is a dict, and its type a str")


def _access_token(req: Request) -> str:
    header = req.headers.get("authorization")
    if header is None:
        token = req.query_params.get("access_token")
    else:
        scheme, _, token = header.partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else None
    if not token:
        raise MissingClientTokenError
    return token
