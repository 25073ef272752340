"""The callbacks of other kinds that a module for Synapse may register beside presence.

A presence router may also be a spam checker, for instance. The server accepts the callbacks of
other kinds and never calls them: Synapse does, which has the messages, media and passwords.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import structlog

from lamplighter.modules.parts import ApiPart, ApiParts

__all__ = ["OTHER_CALLBACKS", "OtherCallbacksPart", "kinds_of"]

_log = structlog.get_logger(__name__)

#: Each method of Synapse's `ModuleApi` with the callbacks that it takes.
OTHER_CALLBACKS: Final[Mapping[str, Sequence[str]]] = {
    f"register_{kind}_callbacks": callbacks.split()
    for kind, callbacks in {
        "spam_checker": "check_event_for_spam should_drop_federated_event user_may_join_room "
        "user_may_invite federated_user_may_invite user_may_send_3pid_invite user_may_create_room "
        "user_may_create_room_alias user_may_publish_room user_may_send_state_event "
        "check_username_for_spam check_registration_for_spam check_media_file_for_spam "
        "check_login_for_spam",
        "account_validity": "is_user_expired on_user_registration on_user_login "
        "on_legacy_send_mail on_legacy_renew on_legacy_admin_request",
        "ratelimit": "get_ratelimit_override_for_user",
        "media_repository": "get_media_config_for_user is_user_allowed_to_upload_media_of_size "
        "get_media_upload_limits_for_user on_media_upload_limit_exceeded",
        "third_party_rules": "check_event_allowed on_create_room check_threepid_can_be_invited "
        "check_visibility_can_be_modified on_new_event check_can_shutdown_room "
        "check_can_deactivate_user on_profile_update on_user_deactivation_status_changed "
        "on_threepid_bind on_add_user_third_party_identifier "
        "on_remove_user_third_party_identifier",
        "password_auth_provider": "check_3pid_auth on_logged_out auth_checkers is_3pid_allowed "
        "get_username_for_registration get_displayname_for_registration",
        "background_update_controller": "on_update default_batch_size min_batch_size",
        "account_data": "on_account_data_updated",
        "add_extra_fields_to_unsigned_client_event": "add_field_to_unsigned_callback",
        "federation": "on_event_delivered_over_federation",
    }.items()
}


def kinds_of(methods: Iterable[str]) -> str:
    """Return the purpose of *methods* of `OTHER_CALLBACKS` in words."""
    kinds = [it.removeprefix("register_").removesuffix("_callbacks") for it in methods]
    return ", ".join(it.replace("_", " ") for it in kinds)


class OtherCallbacksPart(ApiPart):
    """Accepts callbacks of other kinds, and remembers their methods."""

    def __init__(self, module: str, parts: ApiParts) -> None:
        super().__init__(module, parts)
        self._registered_elsewhere: dict[str, None] = {}

    @property
    def registered_elsewhere(self) -> tuple[str, ...]:
        """The methods with which the module has registered callbacks that stay in Synapse."""
        return tuple(self._registered_elsewhere)

    def _registers_other(self, method: str) -> Callable[..., None]:
        """Return the function for *method*, one of `OTHER_CALLBACKS`.

        The function raises `TypeError` for a callback that Synapse does not know either.
        """
        known = OTHER_CALLBACKS[method]

        def register(*callbacks: Any, **named: Any) -> None:
            unknown = [name for name in named if name not in known]
            if unknown or len(callbacks) > len(known):
                raise TypeError(
                    f"{method}() takes no {unknown[0] if unknown else 'further callback'}; "
                    f"it takes {', '.join(known)}"
                )
            if method not in self._registered_elsewhere:
                self._registered_elsewhere[method] = None
                _log.info(
                    "callbacks of a module stay in Synapse: they are not called here",
                    module=self._module,
                    registered_by=method,
                    callbacks=[*known[: len(callbacks)], *named],
                )

        return register
