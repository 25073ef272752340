"""The IDs of room events. In most room versions the ID is a hash of the event.

Implements <https://spec.matrix.org/latest/server-server-api/#calculating-the-reference-hash-for-an-event>
by the rules of room versions 11 and 12. An event does not name the version of its room. In older
versions a few types of events would get another ID.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from canonicaljson import encode_canonical_json

__all__ = ["event_id_of"]

_EVENT_ID: Final = re.compile(r"\$[\x21-\x7e]{1,254}")

#: The keys that a redacted event keeps. Signatures are not part of the hash.
_KEPT: Final = frozenset(
    {"auth_events", "content", "depth", "event_id", "hashes", "origin_server_ts", "prev_events"}
    | {"room_id", "sender", "state_key", "type"}
)
#: By event type, the keys that the content of a redacted event keeps; none for other types.
_KEPT_CONTENT: Final = {
    "m.room.history_visibility": {"history_visibility"},
    "m.room.join_rules": {"allow", "join_rule"},
    "m.room.member": {"join_authorised_via_users_server", "membership"},
    "m.room.power_levels": (
        {"ban", "events", "events_default", "invite", "kick", "redact"}
        | {"state_default", "users", "users_default"}
    ),
    "m.room.redaction": {"redacts"},
}


def event_id_of(event: Mapping[str, Any]) -> str | None:
    """Return the ID that *event* has or that its hash makes; None if *event* is no event."""
    given = event.get("event_id")
    if isinstance(given, str):
        return given if _EVENT_ID.fullmatch(given) else None
    redacted = {name: value for name, value in event.items() if name in _KEPT}
    redacted["content"] = _redacted(event.get("type"), event.get("content"))
    try:
        digest = hashlib.sha256(encode_canonical_json(redacted)).digest()
    except (RecursionError, ValueError):
        return None
    return f"${base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def _redacted(event_type: object, content: object) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        return {}
    if event_type == "m.room.create":
        return dict(content)
    kept = _KEPT_CONTENT.get(event_type, set()) if isinstance(event_type, str) else set()
    redacted = {name: value for name, value in content.items() if name in kept}
    invite = content.get("third_party_invite")
    if event_type == "m.room.member" and isinstance(invite, Mapping) and "signed" in invite:
        redacted["third_party_invite"] = {"signed": invite["signed"]}
    return redacted
