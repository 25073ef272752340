"""Encryption, media, calls and push, none of which is here: answers with which clients go on.

POST /keys/{upload,query,claim}, GET /keys/changes, GET /room_keys/version, GET /pushers,
GET /voip/turnServer, GET /thirdparty/protocols, GET /media/config.

Where the truth fits into the answer that the specification gives a place, that is the answer:
nobody has keys, nobody has pushers, there is no backup, no upload is small enough. What would
claim that something was done is not answered so: sending to a device, uploading signatures or
media, setting a pusher stay `M_UNRECOGNIZED`.
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import NotFound
from lamplighter.ports import Json
from lamplighter.web.auth import Authenticator
from lamplighter.web.routes import ClientRoute, Handler, MatrixRoute, Route, json_response

__all__ = ["NotHere"]

_MEDIA: Final = (
    "/_matrix/client/v1/media/config",
    "/_matrix/media/r0/config",
    "/_matrix/media/v3/config",
)
#: By method and path, what everybody is answered.
_ANSWERS: Final[Mapping[tuple[str, str], Json]] = {
    # Hydrogen does not start before its keys are taken. With no count, no client sends more.
    ("POST", "/keys/upload"): {"one_time_key_counts": {}},
    ("POST", "/keys/query"): {"device_keys": {}, "failures": {}},
    ("POST", "/keys/claim"): {"one_time_keys": {}, "failures": {}},
    ("GET", "/keys/changes"): {"changed": [], "left": []},
    ("GET", "/pushers"): {"pushers": []},
    ("GET", "/voip/turnServer"): {},
    ("GET", "/thirdparty/protocols"): {},
}


class NotHere:
    """Answers those who are logged in."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        answers = [
            ClientRoute(method, path, self._saying(content))
            for (method, path), content in _ANSWERS.items()
        ]
        no_uploads = self._saying({"m.upload.size": 0})
        media = [MatrixRoute("GET", path, no_uploads) for path in _MEDIA]
        return [*answers, *media, ClientRoute("GET", "/room_keys/version", self.no_backup)]

    async def no_backup(self, request: Request) -> Response:
        """Say that there is no backup of keys."""
        await self._authenticator.requester(request)
        raise NotFound("There is no backup of keys")

    def _saying(self, content: Mapping[str, Any]) -> Handler:
        async def answer(request: Request) -> Response:
            if request.method == "POST":
                await self._authenticator.requester_and_optional_body(request, Json)
            else:
                await self._authenticator.requester(request)
            return json_response(content)

        return answer
