"""The admin API as a whole: its families of endpoints, put together."""

from typing import Protocol

from lamplighter.web.admin.auth import AdminAuth
from lamplighter.web.admin.openapi import OpenApi
from lamplighter.web.admin.operations import Operation, admin_routes
from lamplighter.web.routes import Route

__all__ = ["Family", "admin_endpoints"]


class Family(Protocol):
    """Some endpoints that belong together."""

    def operations(self) -> list[Operation]:
        """Return them."""


def admin_endpoints(auth: AdminAuth, *families: Family) -> list[Route]:
    """Return the routes of all *families*, and of their description."""
    operations = [operation for family in families for operation in family.operations()]
    return admin_routes([*operations, *OpenApi(operations).operations()], auth)
