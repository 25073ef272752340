"""nginx and Caddy with three nodes behind them, by the files in deploy/nodes."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from lamplighter.cluster.log import NodeName
from lamplighter.cluster.partitions import heirs_of, partition_of
from tests.deploy.proxies import Places, Proxy, free_places, running
from tests.docs.commands import ROOT
from tests.federation_interop.certificates import Authority
from tests.interop.clients import Person, polls_under_way, register
from tests.interop.nodes import nodes_at, owning
from tests.interop.processes import ServerProcess
from tests.valkey import ValkeyServer


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """Ports that are free."""
    with free_places(tmp_path, 8008, 8009, 8010, 8448, 8449, 8450) as places:
        yield places


@pytest.fixture
def nodes(
    places: Places, postgres_url: str, valkey: ValkeyServer
) -> Iterator[dict[str, ServerProcess]]:
    """Three nodes of one server."""
    ports = [places.behind[it] for it in (8008, 8009, 8010)]
    with nodes_at(ports, places.folder, postgres_url, valkey, server_name="example.org") as nodes:
        yield nodes


@pytest.fixture
async def direct() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to the nodes themselves."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(
    params=[
        pytest.param(
            it, id=it.program, marks=pytest.mark.skipif(not it.is_here, reason="not installed")
        )
        for it in (Proxy("nginx", "nodes/nginx.conf"), Proxy("caddy", "nodes/Caddyfile"))
    ]
)
def proxy(request: pytest.FixtureRequest) -> Proxy:
    """The proxy in front of the nodes."""
    proxy: Proxy = request.param
    return proxy


@pytest.fixture
async def people(
    proxy: Proxy,
    places: Places,
    nodes: dict[str, ServerProcess],
    direct: aiohttp.ClientSession,
    tmp_path: Path,
) -> AsyncIterator[list[Person]]:
    """Alice and bob, who reach the nodes through a proxy and share a room."""
    authority = Authority(tmp_path / "authority.pem")
    connector = aiohttp.TCPConnector(ssl=authority.client_context())
    url = f"https://localhost:{places.proxy}"
    with running(proxy, places, authority):
        await owning(direct, list(nodes.values()))
        async with aiohttp.ClientSession(url, connector=connector) as http:
            alice, bob = [await register(http, url, name) for name in ("alice", "bob")]
            created = await alice.ask("POST", "/createRoom", {"preset": "public_chat"})
            await bob.ask("POST", f"/join/{created.json['room_id']}", {})
            yield [alice, bob]


def told(answer: object, of: Person) -> list[str | None]:
    """Return the statuses of a user in an answer to `/sync`; None for a user who is not online."""
    assert isinstance(answer, dict)
    events = answer.get("presence", {}).get("events", [])
    contents = [it["content"] for it in events if it["sender"] == of.user_id]
    return [it["status_msg"] if it["presence"] == "online" else None for it in contents]


async def takes(person: Person, status_msg: str) -> bool:
    """Set a status; tell whether that was answered with 200. A proxy's own errors are not JSON."""
    with suppress(aiohttp.ContentTypeError):
        return (await person.put_status("online", status_msg)).status == 200
    return False


async def test_a_node_dies(
    people: list[Person], nodes: dict[str, ServerProcess], direct: aiohttp.ClientSession
) -> None:
    """Where bob's owner dies, and another node, alice's poll goes on at the third; his next status
    reaches her.
    """
    alice, bob = people
    await alice.sync()
    poll = asyncio.ensure_future(alice.sync(timeout=60_000))
    await polls_at_one_of(direct, nodes)
    names = [NodeName(it) for it in nodes]
    owner = heirs_of(frozenset(names))[partition_of(bob.user_id)]
    names.remove(owner)
    nodes[owner].kill()
    nodes[names[0]].kill()
    while not await takes(bob, "still here"):
        pass
    while not told((await poll).json, bob):
        poll = asyncio.ensure_future(alice.sync(timeout=60_000))
    assert told(poll.result().json, bob) == ["still here"]


async def test_a_node_hangs(people: list[Person], nodes: dict[str, ServerProcess]) -> None:
    """Where a node hangs, no request that it has got waits longer than for 10 s, and others do not
    notice.
    """
    alice, bob = people
    nodes["b"].signal(signal.SIGSTOP)
    async with asyncio.timeout(45):
        await asyncio.gather(*(takes(bob, "at once") for _ in range(6)))
        while not await takes(bob, "last"):
            pass
        assert told((await alice.sync()).json, bob) == ["last"]


async def test_a_rolling_restart(
    proxy: Proxy, people: list[Person], nodes: dict[str, ServerProcess]
) -> None:
    """While all nodes are restarted, one after the other, every poll is answered, and alice sees
    the statuses of bob in their order, and him never offline.
    """
    alice, bob = people
    await bob.put_status("online", "0")
    await alice.sync()
    seen: list[str | None] = []
    statuses: set[int] = set()
    refused: list[int] = []
    said = 0

    async def watch() -> None:
        while seen[-1:] != ["last"]:
            answer = await alice.sync(timeout=10_000)
            statuses.add(answer.status)
            seen.extend(told(answer.json, bob))

    async def restart() -> None:
        for node in nodes.values():
            await asyncio.to_thread(node.stop)
            await asyncio.to_thread(node.start)

    watching, restarting = asyncio.ensure_future(watch()), asyncio.ensure_future(restart())
    while not restarting.done():
        said += 1
        if not await takes(bob, str(said)):
            refused.append(said)
        await asyncio.wait({restarting}, timeout=0.2)
    await restarting
    while not await takes(bob, "last"):
        pass
    await watching
    assert statuses == {200}
    # Caddy does not send a PUT to another node that it has sent already.
    assert not refused or proxy.program == "caddy"
    order = [int(it) for it in seen[:-1] if it is not None]
    assert order == sorted(order)
    assert None not in seen


async def polls_at_one_of(http: aiohttp.ClientSession, nodes: dict[str, ServerProcess]) -> None:
    """Return once one of the nodes has a poll."""
    waiting = [asyncio.ensure_future(polls_under_way(http, it.url, 1)) for it in nodes.values()]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def test_the_unit_is_the_one_of_a_single_node() -> None:
    """The unit of several nodes differs from that of one in what names the node, and in words."""
    serve = "/usr/local/lib/lamplighter/bin/lamplighter serve -c"
    one = (ROOT / "deploy/lamplighter.service").read_text().splitlines()
    many = (ROOT / "deploy/nodes/lamplighter@.service").read_text().splitlines()
    settings = [[it for it in unit if not it.startswith("#")] for unit in (one, many)]
    differing = [(a, b) for a, b in zip(*settings, strict=True) if a != b]
    assert differing == [
        ("Description=Lamplighter, a Matrix presence server", "Description=Lamplighter, node %i"),
        (
            f"ExecStart={serve} /etc/lamplighter/lamplighter.yaml",
            f"ExecStart={serve} /etc/lamplighter/%i.yaml",
        ),
        ("StateDirectory=lamplighter", "StateDirectory=lamplighter/%i"),
        ("WorkingDirectory=/var/lib/lamplighter", "WorkingDirectory=/var/lib/lamplighter/%i"),
    ]
