"""A presence router that registers callbacks of other kinds, as one module for Synapse does."""

from collections.abc import Iterable
from typing import Any, Literal

from synapse.module_api import (
    NOT_SPAM,
    LoginResponse,
    ModuleApi,
    RatelimitOverride,
    UserPresenceState,
    UserProfile,
)
from synapse.module_api.errors import Codes


class ChecksSpamToo:
    """`shows: {viewer: [user, ...]}`; these viewers may invite any user."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self._shows = config["shows"]
        self._unlimited = RatelimitOverride(per_second=0.0, burst_count=0)
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )
        api.register_spam_checker_callbacks(
            user_may_invite=self.user_may_invite,
            check_username_for_spam=self.check_username_for_spam,
        )
        api.register_ratelimit_callbacks(get_ratelimit_override_for_user=self.override)

    async def get_users_for_states(
        self, state_updates: Iterable[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        return {
            viewer: {it for it in state_updates if it.user_id in users}
            for viewer, users in self._shows.items()
        }

    async def get_interested_users(self, user_id: str) -> set[str]:
        return set(self._shows.get(user_id, ()))

    async def user_may_invite(
        self, inviter: str, invitee: str, room_id: str
    ) -> Codes | Literal["NOT_SPAM"]:
        return NOT_SPAM if inviter in self._shows else Codes.FORBIDDEN

    async def check_username_for_spam(self, user_profile: UserProfile) -> bool:
        return False

    async def override(self, user: str, limiter_name: str) -> RatelimitOverride | None:
        return self._unlimited

    async def after_log_in(self, response: LoginResponse) -> None:
        """Kept for a callback that this module registers elsewhere."""
