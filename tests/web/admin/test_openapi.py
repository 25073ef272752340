"""The OpenAPI description fits the admin API."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import msgspec
from structlog.testing import capture_logs

from lamplighter.devtools.server import running_server
from lamplighter.web.admin.operations import PREFIX
from tests.app.nodes import running_node
from tests.web.admin import test_modules
from tests.web.admin.operator import ADMIN_CONFIG, Operator, events_in

PAGE = (Path(__file__).parents[3] / "docs" / "operating.md").read_text(encoding="utf-8")

#: Dotted paths, because a reload imports the modules again.
ROUTERS = [f"{test_modules.__name__}.{name}" for name in ("Sound", "Broken")]

#: The values of parameters.
VALUES = {
    "user_id": "@alice:demo",
    "device_id": "LAPTOP",
    "name": "Broken",
    "viewer": "@alice:demo",
    "subject": "@bob:demo",
}


def operations(description: Any) -> Iterator[tuple[str, str, Any]]:
    """Return method, path and description of each operation; GET comes first."""
    found = [
        (method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return iter(sorted(found, key=lambda it: (it[0], -len(it[1]))))


def check(value: object, schema: dict[str, str], description: Any) -> None:
    """Raise an error unless *value* fits *schema*, and has all properties and no others."""
    components = copy.deepcopy(description["components"])
    for it in components["schemas"].values():
        it |= {"additionalProperties": False, "required": list(it["properties"])}
    jsonschema.validate(value, {**schema, "components": components})


async def test_every_answer_is_as_described() -> None:
    """The answer of each operation fits its schema."""
    config = f"{ADMIN_CONFIG}routing: {{shared_rooms: true}}"
    async with running_node(ROUTERS, config=config) as server:
        operator = Operator(server.http)
        with capture_logs():
            alice = await server.register("alice", device="LAPTOP")
            bob = await server.register("bob")
            await server.room(alice, bob)
            await bob.set_status("online", "hello")
            await alice.sync()
            description = await operator.get("/openapi.json")
            # The operation that deactivates the account comes last.
            asked = sorted(operations(description), key=lambda it: it[1].endswith("/deactivate"))
            for method, path, operation in asked:
                [(media_type, body)] = operation["responses"]["200"]["content"].items()
                if media_type != "application/json":
                    continue
                body_taken = {"password": "new"} if "requestBody" in operation else None
                filled, query = _filled_in(path, operation)
                response = await operator.request(method, filled, query, body_taken)
                assert response.status == 200, (method, path, response)
                if path.endswith("/openapi.json"):
                    assert response.json == description
                else:
                    check(response.json, body["schema"], description)


def _filled_in(path: str, operation: Any) -> tuple[str, dict[str, str]]:
    needed = {it["name"]: it["in"] for it in operation["parameters"] if it["required"]}
    query = {name: VALUES[name] for name, place in needed.items() if place == "query"}
    assert set(re.findall(r"\{(\w+)\}", path)) == needed.keys() - query.keys()
    for name in needed:
        path = path.replace(f"{{{name}}}", quote(VALUES[name], safe=""))
    return path.removeprefix(PREFIX), query


async def test_every_event_is_as_described() -> None:
    """The data of each event in the stream fits the schema of that name."""
    async with running_server([test_modules.Sound], config=ADMIN_CONFIG) as server:
        operator = Operator(server.http)
        alice = await server.register("alice")
        await alice.sync()
        stream = operator.stream()
        await stream.waiting()
        await alice.set_status("online", "hello")
        await server.advance(seconds=1)
        await stream.go_away()
        description = await operator.get("/openapi.json")
        events = events_in((await stream.response()).body)
    for name, data in events:
        schema = {"$ref": f"#/components/schemas/{name.title()}Event"}
        check(msgspec.json.decode(data), schema, description)
    assert {name for name, _ in events} == {"figures", "batch"}


async def test_every_operation_is_described() -> None:
    """The description has exactly the routes of the admin API, each with an ID of its own.

    docs/operating.md has a row for each operation, with the same summary.
    """
    async with running_node(config=ADMIN_CONFIG) as server:
        described = list(operations(await Operator(server.http).get("/openapi.json")))
        assert {(method, path) for method, path, _ in described} == {
            (method, route.path)
            for route in server.lamplighter.admin.routes
            for method in (route.methods or ())
            if route.path.startswith(PREFIX) and method != "HEAD"
        }
    section = PAGE.partition("## The admin API")[2].partition("\n## ")[0]
    rows = set(re.findall(r"^\| `(GET|POST) (/\S+)` \| ([^|]*) \|$", section, re.MULTILINE))
    assert rows == {
        (method, path.removeprefix(PREFIX), operation["summary"])
        for method, path, operation in described
    }
    names = [operation["operationId"] for _, _, operation in described]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
