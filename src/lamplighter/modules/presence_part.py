"""`ModuleApi`, the part about presence."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from lamplighter.ids import UserId, is_user_id
from lamplighter.modules.background import resolved
from lamplighter.modules.parts import ApiPart, ApiParts
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.status_message import parse_status_msg
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates

__all__ = ["LoneCallback", "PresencePart"]

#: A function, which may be async, that gets announced states.
Listener = Callable[[list[UserPresenceState]], Awaitable[object] | object]


class LoneCallback(RuntimeError):
    """A module has registered one of the two presence router callbacks without the other."""


class PresencePart(ApiPart):
    """Routing rules, and reading and setting presence."""

    def __init__(self, module: str, parts: ApiParts) -> None:
        super().__init__(module, parts)
        self._is_router = False
        self._uses_presence = False

    def register_presence_router_callbacks(
        self,
        *,
        get_users_for_states: GetUsersForStates | None = None,
        get_interested_users: GetInterestedUsers | None = None,
    ) -> None:
        """Register two callbacks that the server asks about presence, beside earlier ones.

        Raises `RuntimeError` if one is given without the other; without both, nothing happens.
        """
        if get_users_for_states is None and get_interested_users is None:
            return
        if get_users_for_states is None or get_interested_users is None:
            given = "get_interested_users" if get_interested_users else "get_users_for_states"
            raise LoneCallback(
                f"module {self._module} registers {given} alone: "
                "get_users_for_states and get_interested_users go together"
            )
        self._is_router = True
        self._parts.register(self._module, get_users_for_states, get_interested_users)

    @property
    def is_presence_router(self) -> bool:
        """Whether the module has registered its callbacks."""
        return self._is_router

    @property
    def uses_presence(self) -> bool:
        """Whether the module has read, set or subscribed to presence."""
        return self._uses_presence

    async def send_local_online_presence_to(self, users: Iterable[str]) -> None:
        """Send each of *users* a snapshot of all online users that the user may see.

        A local user gets it with the next sync, and a remote user's server gets it now. Raises
        `ValueError` for a malformed user ID; then no user gets anything.
        """
        self._uses_presence = True
        wanted = list(dict.fromkeys(_user_ids(users)))
        host = self._parts.host
        await self._change(
            "send_local_online_presence_to", lambda: host.send_local_online_presence_to(wanted)
        )

    async def set_presence_for_users(self, users: Mapping[str, tuple[str, str | None]]) -> None:
        """Set state and status message of *users*: user ID -> (state, status message).

        Raises `ValueError` for a malformed user ID, an unknown state, and a message that is no
        string, is longer than 1,024 bytes of UTF-8, or has a NUL; then nothing is set.
        """
        self._uses_presence = True
        allowed = self._parts.server.presences
        wanted = {_user_id(user): _status(user, value, allowed) for user, value in users.items()}
        host = self._parts.host
        await self._change("set_presence_for_users", lambda: host.set_presence_for_users(wanted))

    async def get_presence_for_users(self, ids: Iterable[str]) -> dict[str, UserPresenceState]:
        """Return the presence of each of *ids*; of whom nothing is known, the default one.

        Lamplighter's own; Synapse has none like it. Raises `ValueError` for a malformed user ID.
        """
        self._uses_presence = True
        wanted = _user_ids(ids)

        async def read() -> dict[str, UserPresenceState]:
            return {user_id: self._parts.host.presence_of(user_id) for user_id in wanted}

        return await self._serve("get_presence_for_users", read)

    def subscribe_to_presence(self, callback: Listener) -> Callable[[], None]:
        """Call *callback* with each list of announced states; return a function that ends this.

        Synapse has no such method.
        """

        self._uses_presence = True

        async def call(states: Sequence[UserPresenceState]) -> None:
            await resolved(callback(list(states)))

        return self._parts.host.subscribe(call, self._module)


def _user_id(text: object) -> UserId:
    if type(text) is not str or not is_user_id(text):
        raise ValueError(f"{text!r} is not a user ID (@localpart:server.name)")
    return UserId(text)


def _user_ids(ids: Iterable[str]) -> list[UserId]:
    if isinstance(ids, str):
        raise ValueError(f"{ids!r}: give a list of user IDs, not one")
    return [_user_id(text) for text in ids]


def _status(user: str, value: object, allowed: frozenset[Presence]) -> tuple[Presence, str | None]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"{user}: give (state, status message), not {value!r}")
    state, status_msg = value
    if not isinstance(state, str) or state not in allowed:
        known = ", ".join(sorted(allowed))
        raise ValueError(f"{user}: {state!r} is not a presence state ({known})")
    if status_msg is not None and type(status_msg) is not str:
        raise ValueError(f"{user}: the status message {status_msg!r} is not a string")
    try:
        return Presence(state), parse_status_msg(status_msg)
    except ValueError as fault:
        raise ValueError(f"{user}: the status message {fault}") from None
