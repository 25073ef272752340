"""From where a request comes, for rate limits."""

from typing import Final

from starlette.requests import Request

__all__ = ["client_address"]

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


def client_address(request: Request) -> str:
    """Return the address of the client.

    Behind a reverse proxy on the same machine it is the last entry of X-Forwarded-For, which is
    the one that the proxy itself wrote; anybody else's header is not believed.
    """
    peer = request.client.host if request.client else ""
    forwarded = request.headers.get("x-forwarded-for", "")
    if peer in _LOOPBACK and forwarded:
        return forwarded.rsplit(",", 1)[-1].strip()
    return peer
