"""People as operators write them: by the whole user ID, or by what is before the colon."""

from lamplighter.ids import ServerName, UserId, parse_user_id

__all__ = ["user_named"]


def user_named(text: str, server_name: ServerName) -> UserId:
    """Return the user ID that *text* means; raise `InvalidId` if it means none.

    `bob` and `@bob` are users of this server, `bob:elsewhere.org` is one of another.
    """
    sigil = "" if text.startswith("@") else "@"
    server = "" if ":" in text else f":{server_name}"
    return parse_user_id(f"{sigil}{text}{server}" if text else text)
