"""Answers that are the same for everybody.

GET /_matrix/client/versions. And for those who are logged in: GET /capabilities, /pushrules/,
/pushrules/global/. And for what is not here (encryption, media, calls and push):
POST /keys/{upload,query,claim}, GET /keys/changes, /room_keys/version, /pushers, /voip/turnServer,
/thirdparty/protocols, /media/config.

Clients go on without encryption and media where the answer that the specification describes can
say so: nobody has keys, rules or pushers, there is no backup, no upload is small enough. A request
that the server would have to claim to have fulfilled stays `M_UNRECOGNIZED`: sending to a device,
uploading signatures or media, setting a pusher.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import NotFound
from lamplighter.ports import Json
from lamplighter.web.auth import Authenticator
from lamplighter.web.routes import ClientRoute, Handler, MatrixRoute, Route, json_response

__all__ = ["FixedAnswers"]

_RULES: Final[Json] = {kind: [] for kind in ("override", "content", "room", "sender", "underride")}
_CAPABILITIES: Final[Json] = {
    "m.change_password": {"enabled": True},
    "m.set_displayname": {"enabled": True},
    "m.set_avatar_url": {"enabled": True},
    "m.3pid_changes": {"enabled": False},
    "m.get_login_token": {"enabled": False},
    "m.room_versions": {"default": "10", "available": {"10": "stable"}},
}
#: By method and path.
_ANSWERS: Final[Mapping[tuple[str, str], Json]] = {
    ("GET", "/capabilities"): {"capabilities": _CAPABILITIES},
    ("GET", "/pushrules/"): {"global": _RULES},
    ("GET", "/pushrules/global/"): _RULES,
    # Hydrogen does not start before its keys are taken. With no count, no client sends more.
    ("POST", "/keys/upload"): {"one_time_key_counts": {}},
    ("POST", "/keys/query"): {"device_keys": {}, "failures": {}},
    ("POST", "/keys/claim"): {"one_time_keys": {}, "failures": {}},
    ("GET", "/keys/changes"): {"changed": [], "left": []},
    ("GET", "/pushers"): {"pushers": []},
    ("GET", "/voip/turnServer"): {},
    ("GET", "/thirdparty/protocols"): {},
}
_VERSIONS: Final = ("r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5")
_MEDIA: Final = (
    "/_matrix/client/v1/media/config",
    "/_matrix/media/r0/config",
    "/_matrix/media/v3/config",
)


@dataclass(frozen=True, slots=True)
class FixedAnswers:
    """Names the versions of the specification, and what is not here."""

    authenticator: Authenticator
    unstable_features: Mapping[str, bool]

    def routes(self) -> list[Route]:
        answers = [
            ClientRoute(method, path, self._answering(content))
            for (method, path), content in _ANSWERS.items()
        ]
        no_uploads = self._answering({"m.upload.size": 0})
        media = [MatrixRoute("GET", path, no_uploads) for path in _MEDIA]
        return [
            *answers,
            *media,
            ClientRoute("GET", "/room_keys/version", self.no_backup),
            MatrixRoute("GET", "/_matrix/client/versions", self.versions),
        ]

    async def versions(self, _request: Request) -> Response:
        """Name the supported versions of the specification, and the unstable features."""
        content = {"versions": _VERSIONS, "unstable_features": self.unstable_features}
        return json_response(content)

    async def no_backup(self, request: Request) -> Response:
        """Say that there is no backup of keys."""
        await self.authenticator.requester(request)
        raise NotFound("There is no backup of keys")

    def _answering(self, content: Json) -> Handler:
        async def answer(request: Request) -> Response:
            if request.method == "POST":
                await self.authenticator.requester_and_optional_body(request, Json)
            else:
                await self.authenticator.requester(request)
            return json_response(content)

        return answer
