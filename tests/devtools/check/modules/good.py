# mypy: ignore-errors
"""Modules without a fault, of many kinds."""

from collections.abc import Iterable

from synapse.module_api import PRESENCE_ALL_USERS, ModuleApi, UserPresenceState
from synapse.module_api.errors import ConfigError

HOUR_MS = 3_600_000


class _Router:
    def __init__(self, config: dict, api: ModuleApi):
        self.config = config
        self.api = api
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )


class NamesInTheSource(_Router):
    """Two people of two servers are shown to a third; their names stand in the source."""

    async def get_users_for_states(
        self, state_updates: Iterable[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        told = {}
        for update in state_updates:
            if update.user_id in ("@dave:example.com", "@erin:somewhere.org"):
                told.setdefault("@alice:example.com", set()).add(update)
        return told

    async def get_interested_users(self, user_id: str) -> set[str]:
        if user_id == "@alice:example.com":
            return {"@dave:example.com", "@erin:somewhere.org"}
        return set()


class AllowList(_Router):
    """Everybody on the list sees everybody on it: `allowed: [localpart, ...]`."""

    @classmethod
    def parse_config(cls, config: dict) -> dict:
        if not isinstance(config.get("allowed"), list):
            raise ConfigError("give a list of localparts", path=("allowed",))
        return config

    def __init__(self, config: dict, api: ModuleApi):
        super().__init__(config, api)
        self.allowed = {api.get_qualified_user_id(it) for it in config["allowed"]}

    async def get_users_for_states(self, state_updates):
        shown = {it for it in state_updates if it.user_id in self.allowed}
        return dict.fromkeys(self.allowed, shown) if shown else {}

    async def get_interested_users(self, user_id):
        return self.allowed if user_id in self.allowed else set()


class OrgChart(_Router):
    """Managers see those below them, however far: `manager_of: {user: manager}`."""

    def _managers(self, user_id):
        manager = self.config["manager_of"].get(user_id)
        return [manager, *self._managers(manager)] if manager else []

    async def get_users_for_states(self, state_updates):
        told = {}
        for state in state_updates:
            for manager in self._managers(state.user_id):
                told.setdefault(manager, set()).add(state)
        return told

    async def get_interested_users(self, user_id):
        staff = self.config["manager_of"]
        return {it for it in staff if user_id in self._managers(it)}


class AdminsSeeAll(_Router):
    """`admins: [user, ...]` see everybody, as far as they are administrators."""

    async def get_users_for_states(self, state_updates):
        viewers = [it for it in self.config["admins"] if await self.api.is_user_admin(it)]
        return {viewer: set(state_updates) for viewer in viewers}

    async def get_interested_users(self, user_id):
        if user_id in self.config["admins"] and await self.api.is_user_admin(user_id):
            return PRESENCE_ALL_USERS
        return set()


class HidesStatus(_Router):
    """The help desk sees who is on call, without status messages."""

    async def get_users_for_states(self, state_updates):
        shown = {
            it.copy_and_replace(status_msg=None)
            for it in state_updates
            if it.user_id in self.config["on_call"]
        }
        return dict.fromkeys(self.config["help_desk"], shown) if shown else {}

    async def get_interested_users(self, user_id):
        return set(self.config["on_call"]) if user_id in self.config["help_desk"] else set()


class HidesStatusInRooms(_Router):
    """The members of a room see each other without status messages."""

    async def get_users_for_states(self, state_updates):
        members = await self._members()
        told = {}
        for state in state_updates:
            for viewer in members - {state.user_id} if state.user_id in members else ():
                told.setdefault(viewer, set()).add(state.copy_and_replace(status_msg=None))
        return told

    async def get_interested_users(self, user_id):
        return set()

    async def _members(self):
        state = await self.api.get_room_state(self.config["room"], [("m.room.member", None)])
        return {user for (_, user), it in state.items() if it.content["membership"] == "join"}


class InvitedToo(HidesStatusInRooms):
    """Users who are invited to a room, named by its alias, see its members."""

    async def get_users_for_states(self, state_updates):
        joined, invited = await self._members("join"), await self._members("invite")
        shown = {it for it in state_updates if it.user_id in joined}
        return dict.fromkeys(invited, shown) if shown else {}

    async def get_interested_users(self, user_id):
        return await self._members("join") if user_id in await self._members("invite") else set()

    async def _members(self, membership):
        room_id, _ = await self.api.lookup_room_alias(self.config["alias"])
        state = await self.api.get_room_state(room_id, [("m.room.member", None)])
        return {user for (_, user), it in state.items() if it.content["membership"] == membership}


class WorkingHours(_Router):
    """The boss sees the staff from nine to five."""

    def _is_time(self):
        return 9 <= self.api.get_current_time_msec() // HOUR_MS % 24 < 17

    async def get_users_for_states(self, state_updates):
        shown = {it for it in state_updates if it.user_id in self.config["staff"]}
        return {self.config["boss"]: shown} if shown and self._is_time() else {}

    async def get_interested_users(self, user_id):
        sees = user_id == self.config["boss"] and self._is_time()
        return set(self.config["staff"]) if sees else set()


class Friends(_Router):
    """Friends are pairs in the database: `friends: [[user, user], ...]` to begin with."""

    def __init__(self, config: dict, api: ModuleApi):
        super().__init__(config, api)
        api.run_db_interaction("fill", self._fill)
        # The server's clock always has a timer.
        api.looping_background_call(self._tick, 100)

    def _tick(self):
        pass

    def _fill(self, txn):
        txn.execute("CREATE TABLE friends (one TEXT, other TEXT)")
        for one, other in self.config["friends"]:
            txn.executemany("INSERT INTO friends VALUES (?, ?)", [(one, other), (other, one)])

    async def get_users_for_states(self, state_updates):
        told = {}
        for state in state_updates:
            for friend in await self._friends(state.user_id):
                told.setdefault(friend, set()).add(state)
        return told

    async def get_interested_users(self, user_id):
        return await self._friends(user_id)

    async def _friends(self, user_id):
        def read(txn):
            txn.execute("SELECT other FROM friends WHERE one = ?", (user_id,))
            return {row[0] for row in txn.fetchall()}

        return await self.api.run_db_interaction("read", read)


class OlderRouter:
    """An older router: two methods by name, one of them not async."""

    def __init__(self, config, module_api):
        self.boss = module_api.get_qualified_user_id(config["boss"])

    def get_users_for_states(self, state_updates):
        return {self.boss: set(state_updates)}

    async def get_interested_users(self, user_id):
        return "ALL" if user_id == self.boss else set()


class Partners(_Router):
    """Sends the presence of all local users to a bot of another server, named in the source."""

    async def get_users_for_states(self, state_updates):
        ours = {it for it in state_updates if self.api.is_mine(it.user_id)}
        return {"@bot:partner.example.net": ours} if ours else {}

    async def get_interested_users(self, user_id):
        return PRESENCE_ALL_USERS if user_id == "@bot:partner.example.net" else set()
