"""PUT /_matrix/federation/v1/send/{txnId}.

Implements <https://spec.matrix.org/latest/server-server-api/#transactions>.
"""

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.federation.inbound import Inbound
from lamplighter.federation.transaction import parse_transaction
from lamplighter.web.federation.auth import XMatrixAuth
from lamplighter.web.fields import text
from lamplighter.web.routes import MatrixRoute, Route, json_response

__all__ = ["SendTransaction"]


class SendTransaction:
    """Receives the transactions of other servers."""

    def __init__(self, auth: XMatrixAuth, inbound: Inbound) -> None:
        self._auth = auth
        self._inbound = inbound

    def routes(self) -> list[Route]:
        return [MatrixRoute("PUT", "/_matrix/federation/v1/send/{txn_id}", self.put)]

    async def put(self, request: Request) -> Response:
        """Process a transaction. If it was processed before, only return the same answer."""
        txn_id = text("txnId", request.path_params["txn_id"])
        origin, content = await self._auth.origin_and_content(request)
        transaction = parse_transaction(content, origin)
        return json_response(await self._inbound.receive(transaction, txn_id))
