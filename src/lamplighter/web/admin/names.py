"""User IDs as operators write them: whole, or only the localpart."""

from lamplighter.ids import ServerName, UserId, parse_user_id

__all__ = ["user_named"]


def user_named(text: str, server_name: ServerName) -> UserId:
    """Return *text* as a user ID. Raises `InvalidId` if it is malformed.

    `bob` and `@bob` are users of this server, and `bob:elsewhere.org` is a user of another server.
    """
    sigil = "" if text.startswith("@") else "@"
    server = "" if ":" in text else f":{server_name}"
    return parse_user_id(f"{sigil}{text}{server}" if text else text)
