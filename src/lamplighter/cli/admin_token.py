"""`lamplighter admin-token`: a token for the admin API, and what the configuration keeps of it."""

from collections.abc import Iterator

from lamplighter.web.admin.auth import hash_of, new_token

__all__ = ["admin_token"]


def admin_token() -> Iterator[str]:
    """Give the lines to print; the token is in none that is printed later."""
    token = new_token()
    yield "The admin token. It is shown this once; keep it where you keep passwords:"
    yield ""
    yield f"  {token}"
    yield ""
    yield "In lamplighter.yaml, then restart the server:"
    yield ""
    yield "admin:"
    yield f"  token_hash: {hash_of(token)}"
