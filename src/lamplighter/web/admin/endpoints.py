"""The routes of the admin API, made from all families of operations."""

from typing import Protocol

from lamplighter.web.admin.auth import AdminAuth
from lamplighter.web.admin.openapi import OpenApi
from lamplighter.web.admin.operations import Operation
from lamplighter.web.routes import Route

__all__ = ["Family", "admin_endpoints"]


class Family(Protocol):
    """Operations that belong together."""

    def operations(self) -> list[Operation]:
        """Return the operations."""


def admin_endpoints(auth: AdminAuth, *families: Family) -> list[Route]:
    """Return the routes of all *families*, and the route of their OpenAPI description."""
    operations = [operation for family in families for operation in family.operations()]
    return [it.route(auth) for it in (*operations, *OpenApi(operations).operations())]
