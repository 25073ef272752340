"""Hints for names of Synapse that are missing here: what to use instead.

A module that uses such a name gets an error with the name, the module, and the hint.
"""

from collections.abc import Mapping
from typing import Final

__all__ = [
    "NOT_IN_API",
    "NOT_IN_MODULE_API",
    "api_hint",
    "import_hint",
    "missing_attribute",
    "server_hint",
]

_ONLY_PRESENCE: Final = "this server only serves presence modules"
_NO_CHAT: Final = "this server sends nothing into rooms for modules; use its client API"
_NO_ACCOUNTS: Final = "accounts are managed with `lamplighter register-user` and the client API"
_NO_PUSH: Final = "this server sends no push notifications"
_NO_MAIL: Final = "this server sends no mail, and knows nobody's addresses"
_DATABASE: Final = "use api.run_db_interaction: modules have a database of their own"
_PRESENCE: Final = "use await api.get_presence_for_users(...) or api.subscribe_to_presence(...)"
_ROOMS: Final = "use await api.get_room_state(room_id, ...)"
_NO_TWISTED: Final = (
    "there is no Twisted here: give api.register_web_resource an async function(request) -> "
    "Response, or an ASGI application"
)
_ASYNCIO: Final = "there is no Twisted here: use async functions, and asyncio"

#: The public names of Synapse's `ModuleApi` that are missing, apart from callbacks of other kinds.
NOT_IN_API: Final[Mapping[str, str]] = {
    name: hint
    for hint, names in {
        _NO_ACCOUNTS: "check_username complete_sso_login_async create_login_token "
        "invalidate_access_token record_user_external_id register register_device register_user "
        "set_displayname set_user_admin",
        _NO_CHAT: "create_and_send_event_into_room create_room delete_room update_room_membership",
        _NO_MAIL: "email_app_name get_threepids_for_user send_mail store_remote_3pid_association",
        _NO_PUSH: "check_push_rule_actions send_http_push_notification set_push_rule_action",
        _ONLY_PRESENCE: "get_monthly_active_users_by_service get_user_ip_and_agents "
        "public_room_list_manager",
        "load templates with a library of the module's own, such as jinja2": "read_templates",
        "use await api.defer_to_thread(f, ...)": "defer_to_threadpool",
    }.items()
    for name in names.split()
}
_PRIVATE: Final = {
    "_auth_handler": "use await api.get_user_by_req(request)",
    "_clock": "use api.looping_background_call, api.delayed_background_call or api.sleep",
    "_presence_handler": _PRESENCE,
    "_presence_stream": _PRESENCE,
    "_server_name": "use api.server_name",
    "_store": _DATABASE,
}
_SERVER: Final = {
    "auth": "use await api.get_user_by_req(request)",
    "clock": "use _hs.get_clock()",
    "config": "give the module what it needs in its own config",
    "get_account_data_handler": "use api.account_data_manager",
    "get_auth": "use await api.get_user_by_req(request)",
    "get_datastore": _DATABASE,
    "get_datastores": _DATABASE,
    "get_federation_sender": "use await api.send_local_online_presence_to(users)",
    "get_instance_name": "use api.worker_name",
    "get_module_api": "use the api that the module was given",
    "get_presence_handler": _PRESENCE,
    "get_presence_router": "use api.register_presence_router_callbacks(...)",
    "get_profile_handler": "use await api.get_profile_for_user(localpart)",
    "get_proxied_http_client": "use api.http_client",
    "get_reactor": "use api.run_in_background, api.delayed_background_call or asyncio",
    "get_room_member_handler": _ROOMS,
    "get_simple_http_client": "use api.http_client",
    "get_state_handler": _ROOMS,
    "get_storage_controllers": _DATABASE,
    "is_mine": "use api.is_mine(user_id)",
    "is_mine_id": "use api.is_mine(user_id)",
    "server_name": "use _hs.hostname or api.server_name",
}
_IMPORTS: Final = {
    "synapse.handlers.presence.PresenceHandler": _PRESENCE,
    "synapse.handlers.presence.BasePresenceHandler": _PRESENCE,
    "synapse.http.server": _NO_TWISTED,
    "synapse.http.site": "annotate with starlette.requests.Request",
    "synapse.module_api.DirectServeHtmlResource": _NO_TWISTED,
    "synapse.module_api.DirectServeJsonResource": _NO_TWISTED,
    "synapse.module_api.SynapseRequest": "annotate with starlette.requests.Request",
    "synapse.module_api.DatabasePool": "use the cursor that run_db_interaction gives",
    "synapse.module_api.parse_json_object_from_request": "use await request.json()",
    "synapse.module_api.respond_with_html": "return starlette.responses.HTMLResponse(...)",
    "synapse.server": "use the api that the module was given",
    "synapse.storage": _DATABASE,
    "synapse.metrics": "use api.run_as_background_process",
    "synapse.util": _ASYNCIO,
    "synapse.logging": _ASYNCIO,
}
#: The names of Synapse's `synapse.module_api` that are missing.
NOT_IN_MODULE_API: Final = (
    *("DatabasePool", "DirectServeHtmlResource", "DirectServeJsonResource", "SynapseRequest"),
    *("parse_json_object_from_request", "respond_with_html"),
)


def api_hint(name: str) -> str:
    """Return the hint for a missing attribute of `ModuleApi`."""
    if name.startswith("register_") and name.endswith("_callbacks"):
        return _ONLY_PRESENCE
    known = {**NOT_IN_API, **_PRIVATE}
    return known.get(name, f"{_ONLY_PRESENCE}; help(api) lists what its API has")


def server_hint(name: str) -> str:
    """Return the hint for a missing attribute of `ModuleApi._hs`."""
    return _SERVER.get(name, "use the public methods of ModuleApi")


def import_hint(path: str) -> str:
    """Return the hint for a missing import from `synapse`."""
    while path:
        if path in _IMPORTS:
            return _IMPORTS[path]
        path = path.rpartition(".")[0]
    return "use what synapse.module_api offers, and the api that the module was given"


def missing_attribute(owner: str, name: str, module: str, hint: str) -> AttributeError:
    """Return the exception for *name*, which *module* has looked for in *owner*."""
    message = f"module {module}: Lamplighter's {owner} has no {name!r}: {hint}"
    return AttributeError(message, name=name)
