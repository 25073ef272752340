"""The headers that let web clients in.

Implements <https://spec.matrix.org/latest/client-server-api/#web-browser-clients>.
"""

from typing import Final

__all__ = ["CORS_HEADERS"]

#: As ASGI takes them; they belong on every response, errors included.
CORS_HEADERS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"X-Requested-With, Content-Type, Authorization"),
)
