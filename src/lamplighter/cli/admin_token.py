"""`lamplighter admin-token`: a token for the admin API, and its hash for the configuration."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamplighter.web.admin.auth import hash_of, new_admin_token

__all__ = ["NewAdminToken", "admin_token"]


@dataclass(frozen=True, slots=True)
class NewAdminToken:
    """A token, and the lines to print before and after it, which do not contain the token."""

    before: Sequence[str]
    token: str
    after: Sequence[str]


def admin_token() -> NewAdminToken:
    """Return a new token with the lines around it."""
    token = new_admin_token()
    return NewAdminToken(
        ("The admin token. It is shown this once; keep it where you keep passwords:", ""),
        token,
        (
            "",
            "In lamplighter.yaml, then restart the server:",
            "",
            "admin:",
            f"  token_hash: {hash_of(token)}",
        ),
    )
