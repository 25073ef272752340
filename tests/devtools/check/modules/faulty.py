# mypy: ignore-errors
# ruff: noqa: ASYNC221, BLE001
"""Modules with one fault each; the comment `fault` marks the line that the check must name."""

import subprocess
from socket import create_connection

from synapse.module_api import ModuleApi

ALICE = "@alice:example.com"
BOB = "@bob:example.com"


class _Router:
    """Shows bob to alice, until a fault is put in."""

    def __init__(self, config: dict, api: ModuleApi):
        self.api = api
        self.asked = 0
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, state_updates):
        shown = {it for it in state_updates if it.user_id == BOB}
        return {ALICE: shown} if shown else {}

    async def get_interested_users(self, user_id):
        return {BOB} if user_id == ALICE else set()


class RefusesOddly(_Router):
    @staticmethod
    def parse_config(config):
        return {"users": config["users"]}  # fault


class CannotBeBuilt(_Router):
    def __init__(self, config: dict, api: ModuleApi):
        super().__init__(config, api)
        self.users = config["users"]  # fault


class EndsTheServerAtOnce(_Router):
    def __init__(self, config: dict, api: ModuleApi):
        raise SystemExit("no such file")  # fault


class EndsTheServerReading(_Router):
    @staticmethod
    def parse_config(config):
        raise SystemExit("no such key")  # fault


class AsksOthers(_Router):
    async def get_interested_users(self, user_id):
        return set(await self.api.http_client.get_json("https://hr.example.com/"))  # fault


class RegistersNothing:  # fault
    def __init__(self, config: dict, api: ModuleApi):
        self.api = api


class RegistersOne:
    def __init__(self, config: dict, api: ModuleApi):
        api.register_presence_router_callbacks(get_users_for_states=self.told)  # fault

    async def told(self, state_updates):
        return {}


class NotAsync(_Router):
    def get_interested_users(self, user_id):  # fault
        return {BOB} if user_id == ALICE else set()


class Raises(_Router):
    async def get_users_for_states(self, state_updates):
        shown = {it for it in state_updates if it.status_msg.strip()}  # fault
        return {ALICE: shown}


class EndsTheServer(_Router):
    async def get_interested_users(self, user_id):
        raise SystemExit(3)  # fault


class AnswersLists(_Router):
    async def get_users_for_states(self, state_updates):  # fault
        return {ALICE: list(state_updates), "bob": set(state_updates)}


class SaysNothing(_Router):
    async def get_users_for_states(self, state_updates):  # fault
        return await super().get_users_for_states(state_updates) or None


class NamesWhoCannotBe(_Router):
    async def get_interested_users(self, user_id):  # fault
        return {"@🛒:vel.example", *await super().get_interested_users(user_id)}


class ChangesItsInput(_Router):
    async def get_users_for_states(self, state_updates):  # fault
        answer = {}
        while state_updates:
            state = state_updates.pop()
            if state.user_id == BOB:
                answer = {ALICE: {state}}
        return answer


class RunsPrograms(_Router):
    async def get_interested_users(self, user_id):
        subprocess.run(["true"], check=True)  # fault
        return await super().get_interested_users(user_id)


class Connects(_Router):
    async def get_users_for_states(self, state_updates):
        try:
            create_connection(("127.0.0.1", 9))  # fault
        except Exception:
            return {}
        return {}


class ComputesForEver(_Router):
    async def get_interested_users(self, user_id):
        self.asked = sum(1 for _ in iter(int, 1))  # fault
        return set()


class WaitsForEver(_Router):
    async def get_interested_users(self, user_id):  # fault
        await self.api.sleep(60)
        return set()


class IsSlow(_Router):
    async def get_interested_users(self, user_id):  # fault
        await self.api.sleep(0.5)
        return await super().get_interested_users(user_id)


class ChangesItsMind(_Router):
    async def get_interested_users(self, user_id):  # fault
        self.asked += 1
        return {BOB} if user_id == ALICE and self.asked % 2 else set()


class ForgetsToShow(_Router):
    """Sends bob to whole servers, and shows him to alice only."""

    async def get_users_for_states(self, state_updates):
        shown = {it for it in state_updates if it.user_id == BOB}
        return dict.fromkeys((ALICE, "@eve:elsewhere.com"), shown) if shown else {}

    async def get_interested_users(self, user_id):  # fault
        return {BOB} if user_id == ALICE else set()


class ForgetsToTell(_Router):
    """Sends nobody that bob goes offline."""

    async def get_users_for_states(self, state_updates):  # fault
        shown = {it for it in state_updates if it.user_id == BOB and it.state != "offline"}
        return {ALICE: shown} if shown else {}


class LooksAtTheFirst(_Router):
    """Considers only the first of several changes at once."""

    async def get_users_for_states(self, state_updates):  # fault
        first = state_updates[0]
        return {ALICE: {first}} if first.user_id == BOB else {}


class ByInvitation(_Router):
    """Sends members of the staff room each other's changes; shows them to invited users, too."""

    ROOM = "!staff:example.com"

    async def get_users_for_states(self, state_updates):  # fault
        members = await self._members({"join"})
        shown = {it for it in state_updates if it.user_id in members}
        return dict.fromkeys(members, shown) if shown else {}

    async def get_interested_users(self, user_id):
        members = await self._members({"join", "invite"})
        return members if user_id in members else set()

    async def _members(self, memberships):
        state = await self.api.get_room_state(self.ROOM, [("m.room.member", None)])
        return {user for (_, user), it in state.items() if it.content["membership"] in memberships}
