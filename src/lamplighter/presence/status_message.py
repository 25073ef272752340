"""The rule for status messages, wherever one comes from: a client, a server, a module, the disk.

Implements the field `status_msg` of <https://spec.matrix.org/latest/client-server-api/#mpresence>.
The specification has no limit; this one is ours, also for what other servers send.
"""

from typing import Final, NewType

__all__ = [
    "MAX_STATUS_MSG",
    "StatusMessage",
    "parse_status_msg",
    "shorten_status_msg",
    "status_msg_fault",
]

#: The longest status message, in bytes of UTF-8.
MAX_STATUS_MSG: Final = 1024

#: At most 1,024 bytes of UTF-8 that every client, server and database accepts.
StatusMessage = NewType("StatusMessage", str)


def parse_status_msg(message: str | None) -> StatusMessage | None:
    """Return *message* if it follows the rule; None for an empty one.

    Raises `ValueError`, which says what is wrong with the message.
    """
    if not message:
        return None
    fault = status_msg_fault(message)
    if fault is not None:
        raise ValueError(fault)
    return StatusMessage(message)


def status_msg_fault(message: str | None) -> str | None:
    """Return what is wrong with *message*, such as "holds a NUL"; None if nothing is."""
    if not message:
        return None
    if len(message) > MAX_STATUS_MSG:  # each character takes at least one byte
        return f"is longer than {MAX_STATUS_MSG} bytes"
    try:
        size = len(message.encode())
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    if size > MAX_STATUS_MSG:
        return f"is longer than {MAX_STATUS_MSG} bytes"
    return "holds a NUL" if "\0" in message else None


def shorten_status_msg(message: str | None) -> str | None:
    """Return the part of *message* that follows the rule: it may have been stored before it."""
    if message is None or status_msg_fault(message) is None:
        return message
    sound = message.replace("\0", "").encode(errors="replace")[:MAX_STATUS_MSG]
    return sound.decode(errors="ignore") or None
