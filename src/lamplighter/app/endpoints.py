"""Wires the endpoints for clients, operators, and people at a browser."""

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from lamplighter.app.admin import Admin
from lamplighter.app.federation import Federation
from lamplighter.app.homeserver import Homeserver
from lamplighter.config import Config
from lamplighter.delivery.timeouts import Timeouts
from lamplighter.modules.runtime import ModuleRuntime
from lamplighter.service.core import Core, CorePorts
from lamplighter.web.application import Application
from lamplighter.web.auth import Authenticator
from lamplighter.web.client.filters_in_use import FiltersInUse
from lamplighter.web.client.long_poll import LongPoll
from lamplighter.web.client.parts import ClientParts
from lamplighter.web.client.presence import PresenceStatus
from lamplighter.web.client.presence_events import PresenceEncoder
from lamplighter.web.client.sync import Sync
from lamplighter.web.client.sync_body import SyncBodies
from lamplighter.web.direct import DirectEndpoints
from lamplighter.web.federation.version import WellKnownServer
from lamplighter.web.fields import PresenceNames
from lamplighter.web.front_page import FrontPage
from lamplighter.web.http.exchange import FindDirect
from lamplighter.web.limits import Limiter
from lamplighter.web.places import Places
from lamplighter.web.routes import ChangingResources, NothingElse

__all__ = ["wire_endpoints"]


def wire_endpoints(
    config: Config,
    ports: CorePorts,
    homeserver: Homeserver,
    core: Core,
    modules: ModuleRuntime,
    admin: Admin,
    transitions: Limiter,
    federation: Federation | None,
) -> tuple[ASGIApp, FindDirect]:
    """Return the application and the direct endpoints of the server.

    *transitions* limits how often a device sets its status.
    """
    clock, background, metrics = ports.clock, ports.background, ports.metrics
    rooms_half, places = homeserver.rooms_half, Places()
    long_poll = LongPoll(rooms_half, core, clock, Timeouts(clock), background, places)
    parts = ClientParts(
        clock=clock,
        authenticator=Authenticator(homeserver.identity),
        core=core,
        long_poll=long_poll,
        tokens=homeserver.tokens(core.memory.epoch, ports.node),
        places=places,
        access_log=admin.access_log,
    )
    names = PresenceNames(busy=config.presence.busy)
    status = PresenceStatus(
        authenticator=parts.authenticator,
        reader=core.reader,
        intake=core.intake,
        names=names,
        limiter=transitions,
        background=background,
        clock=clock,
    )
    sync = Sync(
        authenticator=parts.authenticator,
        clock=clock,
        filters=FiltersInUse(rooms_half),
        long_poll=long_poll,
        bodies=SyncBodies(parts.tokens, PresenceEncoder()),
        names=names,
        tokens=parts.tokens,
        background=background,
        metrics=metrics,
    )
    routes: list[BaseRoute] = [*status.routes(), *homeserver.routes(parts)]
    routes += [ChangingResources(lambda: modules.web_resources), *admin.routes]
    otherwise = homeserver.everything_else
    if otherwise is None:
        has_dashboard = config.admin.token_hash is not None
        front = FrontPage(config.server_name, config.public_baseurl, has_dashboard=has_dashboard)
        routes += front.routes()
        routes += WellKnownServer(config.federation.well_known_server).routes()
    else:
        # The admin token, in a request to a path that is misspelt, is not the homeserver's to see.
        routes.append(NothingElse("/_lamplighter"))
    if otherwise is not None and federation is not None:
        otherwise = federation.in_front_of(otherwise, core.federated)
    application = Application(routes, otherwise)
    return application, DirectEndpoints(sync=sync, put_status=status.put)
