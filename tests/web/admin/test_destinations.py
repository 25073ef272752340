"""The admin API on destinations."""

from lamplighter.clock import Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import InMemoryServer
from lamplighter.federation.sender import DestinationStatus
from lamplighter.ids import ServerName
from lamplighter.web.access_log import AccessLog
from lamplighter.web.address import ClientAddress
from lamplighter.web.admin.auth import AdminAuth, hash_of
from lamplighter.web.admin.destinations import AdminDestinations
from lamplighter.web.admin.endpoints import admin_endpoints
from lamplighter.web.application import build_application
from tests.web.admin.operator import TOKEN, Operator
from tests.web.clients import client_of


async def test_destinations() -> None:
    """Each destination is listed with its waiting states and its back-off."""
    statuses = [
        DestinationStatus(ServerName("two.org"), 7, False, 3, Timestamp(900)),
        DestinationStatus(ServerName("one.org"), 1, True, 0, None),
    ]
    endpoints = admin_endpoints(
        AdminAuth(hash_of(TOKEN), AccessLog(FakeClock(), print, ClientAddress([]))),
        AdminDestinations(lambda: statuses),
    )
    operator = Operator(client_of(build_application(endpoints)))
    one = {"server_name": "one.org", "queued": 1, "is_busy": True, "failures": 0, "retry_ts": None}
    two = {"server_name": "two.org", "queued": 7, "is_busy": False, "failures": 3, "retry_ts": 900}
    pages = await operator.pages("/destinations", limit="1")
    assert [page["destinations"] for page in pages] == [[one], [two]]
    assert {page["total"] for page in pages} == {2}


async def test_a_server_that_speaks_to_no_other(server: InMemoryServer, operator: Operator) -> None:
    """Without federation there are no destinations."""
    assert await operator.get("/destinations") == {
        "destinations": [],
        "total": 0,
        "next_batch": None,
    }
