"""What to use instead of what is not there.

A module that reaches for something else of Synapse gets an error which names it, the module, and
the way that works here.
"""

from typing import Final

__all__ = ["api_hint", "import_hint", "missing_attribute", "server_hint"]

_ONLY_PRESENCE: Final = "this server only serves presence modules"
_NO_CHAT: Final = "this server sends nothing into rooms for modules; use its client API"
_NO_ACCOUNTS: Final = "accounts are managed with `lamplighter register-user` and the client API"
_DATABASE: Final = "use api.run_db_interaction: modules have a database of their own"
_PRESENCE: Final = "use await api.get_presence_for_users(...) or api.subscribe_to_presence(...)"
_ROOMS: Final = "use await api.get_room_state(room_id, ...)"
_NO_TWISTED: Final = (
    "there is no Twisted here: give api.register_web_resource an async function(request) -> "
    "Response, or an ASGI application"
)
_ASYNCIO: Final = "there is no Twisted here: use async functions, and asyncio"

_API: Final = {
    "create_and_send_event_into_room": _NO_CHAT,
    "create_room": _NO_CHAT,
    "defer_to_threadpool": "use await api.defer_to_thread(f, ...)",
    "delete_room": _NO_CHAT,
    "invalidate_access_token": _NO_ACCOUNTS,
    "public_room_list_manager": _ONLY_PRESENCE,
    "register": _NO_ACCOUNTS,
    "register_device": _NO_ACCOUNTS,
    "register_user": _NO_ACCOUNTS,
    "send_mail": _ONLY_PRESENCE,
    "set_displayname": _NO_ACCOUNTS,
    "set_user_admin": _NO_ACCOUNTS,
    "update_room_membership": _NO_CHAT,
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
    "synapse.module_api.DatabasePool": "use the cursor that run_db_interaction gives",
    "synapse.module_api.NOT_SPAM": _ONLY_PRESENCE,
    "synapse.module_api.parse_json_object_from_request": "use await request.json()",
    "synapse.module_api.respond_with_html": "return starlette.responses.HTMLResponse(...)",
    "synapse.server": "use the api that the module was given",
    "synapse.storage": _DATABASE,
    "synapse.metrics": "use api.run_as_background_process",
    "synapse.util": _ASYNCIO,
    "synapse.logging": _ASYNCIO,
}


def api_hint(name: str) -> str:
    """Return what to use instead of an attribute of `ModuleApi`."""
    if name.startswith("register_") and name.endswith("_callbacks"):
        return _ONLY_PRESENCE
    return _API.get(name, f"{_ONLY_PRESENCE}; help(api) lists what its API has")


def server_hint(name: str) -> str:
    """Return what to use instead of an attribute of `ModuleApi._hs`."""
    return _SERVER.get(name, "use the public methods of ModuleApi")


def import_hint(path: str) -> str:
    """Return what to use instead of an import from `synapse`."""
    while path:
        if path in _IMPORTS:
            return _IMPORTS[path]
        path = path.rpartition(".")[0]
    return "use what synapse.module_api offers, and the api that the module was given"


def missing_attribute(owner: str, name: str, module: str, hint: str) -> AttributeError:
    """Return the exception for *name*, which *module* looks for in *owner*."""
    message = f"module {module}: Lamplighter's {owner} has no {name!r}: {hint}"
    return AttributeError(message, name=name)
