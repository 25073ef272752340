"""`lamplighter homeserver`: sets up the homeserver behind this server, and looks whether it is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from lamplighter.clock import SystemClock
from lamplighter.config import Config, HomeserverSettings, load_config
from lamplighter.errors import ConfigError
from lamplighter.federation.keys import SigningKeys
from lamplighter.homeserver.upstream.client import UpstreamClient, connect_to
from lamplighter.homeserver.upstream.doctor import Diagnosis, examine
from lamplighter.homeserver.upstream.registration import read_registration, write_registration
from lamplighter.logs import set_up_logs

__all__ = ["check_homeserver", "register"]


def register(path: Path) -> Iterator[str]:
    """Write the registration that the configuration at *path* names; return what to do with it.

    Raises `ConfigError`, also if the file exists.
    """
    config, settings = _load(path)
    address = config.listen[0]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address.host, address.rpartition(":")[0])
    write_registration(settings.registration, f"http://{host}:{address.port}", config.server_name)
    yield f"{settings.registration}: written; keep it secret"
    yield (
        "Name it in app_service_config_files of homeserver.yaml, where the homeserver can read it, "
        "and restart the homeserver"
    )


def check_homeserver(path: Path, say: Callable[[str], None]) -> bool:
    """Call *say* with a line for each thing that was looked at; tell whether all is well."""
    set_up_logs("critical")  # the lines say it
    config, settings = _load(path)
    registration = read_registration(settings.registration)
    keys = None
    if config.federation.enabled and settings.signing_key is not None:
        keys = SigningKeys.load(settings.signing_key, config.server_name)

    async def look() -> bool:
        client = UpstreamClient(
            connect_to(settings.url), settings.url.address.encode(), SystemClock()
        )
        try:
            return await _say_all(
                examine(client, registration, config.server_name, settings.url, keys), say
            )
        finally:
            await client.close()

    return asyncio.run(look())


async def _say_all(findings: AsyncIterator[Diagnosis], say: Callable[[str], None]) -> bool:
    all_good = True
    async for found in findings:
        all_good = all_good and found.is_good
        say(f"{'ok  ' if found.is_good else 'FAIL'} {found.what}")
        if found.advice:
            say(f"     {found.advice}")
    return all_good


def _load(path: Path) -> tuple[Config, HomeserverSettings]:
    config = load_config(path)
    if config.homeserver is None:
        raise ConfigError(f"{path}: homeserver: missing; give the url of the homeserver behind")
    return config, config.homeserver
