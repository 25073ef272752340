"""Actions of clients at both kinds of servers, besides those of `tests.interop.clients`."""

from typing import Any

import aiohttp

from tests.interop.clients import V3, Person

__all__ = ["log_in", "news_of", "without_age"]


async def log_in(
    http: aiohttp.ClientSession, url: str, user_id: str, password: str = "wonderland"
) -> Person:
    """Log a registered user in with another device."""
    identifier = {"type": "m.id.user", "user": user_id}
    body = {"type": "m.login.password", "identifier": identifier, "password": password}
    async with http.post(f"{url}{V3}/login", json=body) as response:
        answer = await response.json()
        assert response.status == 200, answer
    return Person(http, url, answer["user_id"], answer["access_token"])


async def news_of(user_id: str, viewer: Person) -> dict[str, Any]:
    """Poll as *viewer* until a `/sync` has presence of *user_id*; return its content."""
    while True:
        answer = await viewer.sync(timeout=30_000)
        assert answer.status == 200, answer
        for event in answer.json.get("presence", {}).get("events", []):
            if event["sender"] == user_id:
                return without_age(event["content"])


def without_age(content: dict[str, Any]) -> dict[str, Any]:
    """Return *content* without `last_active_ago`, which must be at most a minute."""
    assert 0 <= content["last_active_ago"] <= 60_000
    return {name: value for name, value in content.items() if name != "last_active_ago"}
