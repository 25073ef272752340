"""A person with one client: it polls at one node after the other, and believes what it is told."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Protocol

from lamplighter.ids import UserId
from tests.chaos.client import Client, Refused
from tests.chaos.history import History
from tests.chaos.passing import instant, pause

__all__ = ["GRACE", "Attendance", "LogOut", "Person", "Shown", "Told", "Witness", "shown_by"]

#: How long after its last poll a device is dropped, in seconds, by the configuration.
GRACE: Final = 20.0
#: A client that has had no good answer for so long may be taken for one that is away: a node may
#: have died before it told of the last poll, and an answer may be a bit old.
_LONELY: Final = 15.0
#: Whoever returns is known to be there after so many seconds of good answers.
_RETURNS: Final = 5.0
_V3: Final = "_matrix/client/v3"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client shows of a user: presence, and the number of the status; 0 is none."""

    presence: str
    number: int

    def __str__(self) -> str:
        return f"{self.presence} {self.number}"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer to a sync."""

    #: The node that has given it.
    url: str
    asked: float
    answered: float
    #: Whether it is the first of its device.
    is_first: bool
    states: dict[UserId, Shown]


@dataclass(frozen=True, slots=True)
class LogOut:
    """The end of an access token."""

    #: When it was acknowledged; infinity while it is not.
    at: float
    #: Whether the user was certainly there until then.
    was_there: bool


class Witness(Protocol):
    """Looks at each answer."""

    def told(self, viewer: "Person", told: Told) -> None:
        """Learn what a client is told."""

    def told_after(self, viewer: "Person", told: Told, log_out: LogOut) -> None:
        """Learn what a client is told whose device has asked to log out meanwhile."""


class Attendance:
    """Until when a user may be offline: the device was gone, or had no good answer for too long.

    Whoever is away for less than the grace is not offline. Whoever returns later is known to be
    there once nodes have answered well for a while.
    """

    def __init__(self) -> None:
        self._may_be_offline_until = inf
        self._answered = 0.0
        self._returns_since = inf

    def is_certain(self, since: float) -> bool:
        """Tell whether the user is not offline, from *since* until now."""
        is_lonely = instant() - self._answered > _LONELY
        return self._may_be_offline_until < since and not is_lonely

    def leaves(self) -> None:
        """Learn that the device is gone."""
        self._may_be_offline_until = self._returns_since = inf

    def polled(self, now: float, status: int) -> None:
        """Learn what a node has answered to a poll; 0 is nothing."""
        if status != 200:
            self._returns_since = inf
            return
        if now - self._answered > _LONELY:
            self.leaves()
        self._answered = now
        self._returns_since = min(self._returns_since, now)
        if self._may_be_offline_until == inf and now - self._returns_since > _RETURNS:
            self._may_be_offline_until = now


class Person:
    """A user, what the user has said, and what the user's client shows."""

    def __init__(
        self, user_id: UserId, client: Client, witness: Witness, note: Callable[..., None]
    ) -> None:
        """*note* gets what a poll was told, and the name of the user."""
        self.user_id, self.client, self._witness, self._note = user_id, client, witness, note
        self.name = user_id[1:].partition(":")[0]
        self.since: str | None = None
        self.believes: dict[UserId, Shown] = {}
        #: When the client was told of a user last.
        self.learned: dict[UserId, float] = {}
        self.attendance = Attendance()
        #: The number of the status that counts.
        self.status = History(0)
        #: The numbers of those that a node has acknowledged.
        self.acknowledged: list[int] = []
        self._sent = 0
        #: Since when the client does not poll; None while it does.
        self.away_since: float | None = None
        self._polls = asyncio.Event()
        #: How access tokens have ended.
        self._logged_out: dict[str, LogOut] = {}

    def __str__(self) -> str:
        return self.name

    async def insist(self, method: str, path: str, body: Any = None) -> Any:
        """Ask until there is an answer."""
        return await self.client.insist(method, f"{_V3}/{path}", body)

    def begin_to_poll(self) -> None:
        """Poll from now on."""
        self.away_since = None
        self._polls.set()

    def go_away(self) -> None:
        """Let the poll that waits be the last one for now."""
        self.away_since = instant()
        self._polls.clear()

    @property
    def next_number(self) -> int:
        """The number of the status that is set next."""
        return self._sent + 1

    async def put(self, url: str) -> tuple[int, int]:
        """Set a status at a node; return its number, and what the node answers."""
        number = self._sent = self.next_number
        self.status.may_be(instant(), {*self.status.now, number})
        presence = self.client.random.choice(["online", "online", "unavailable"])
        body = {"presence": presence, "status_msg": f"{self.name} {number}"}
        path = f"{_V3}/presence/{self.user_id}/status"
        status, _ = await self.client.ask("PUT", path, body, url=url)
        if status == 200:
            self.status.may_be(instant(), {number})
            self.acknowledged.append(number)
        return number, status

    async def log_in(self, path: str, body: Any) -> None:
        """Register, or log in as another device."""
        self.client.access_token = ""
        content = await self.insist("POST", path, body)
        self.since = None
        self.believes.clear()
        self.learned.clear()
        self.client.access_token = content["access_token"]

    async def log_out(self) -> str:
        """Log out at some node, whatever it takes; return the token that has ended."""
        was_there = self.attendance.is_certain(instant())
        self.attendance.leaves()
        token, self.client.access_token = self.client.access_token, ""
        self._logged_out[token] = LogOut(inf, was_there)
        await self.client.carry_out(f"{_V3}/logout", token=token, may=frozenset({401}))
        self._logged_out[token] = LogOut(instant(), was_there)
        return token

    async def live(self) -> None:
        """Poll until an answer is wrong, but while the person is away."""
        with suppress(Refused):
            while True:
                await self._polls.wait()
                if token := self.client.access_token:
                    await self._poll(token)
                await pause(self.client.random.uniform(0.05, 0.4))

    async def _poll(self, token: str) -> None:
        since, asked = self.since, instant()
        timeout = self.client.random.choice([0, 2_000, 4_000, 10_000]) if since else 0
        query = f"timeout={timeout}" + (f"&since={since}" if since else "")
        may = frozenset({401})
        url = self.client.random.choice(self.client.urls)
        path = f"{_V3}/sync?{query}"
        status, content = await self.client.ask("GET", path, url=url, token=token, may=may)
        now, states = instant(), dict[UserId, Shown]()
        if status == 200:
            events = content.get("presence", {}).get("events", [])
            states = {UserId(it["sender"]): shown_by(it["content"]) for it in events}
        told = Told(url, asked, now, since is None, states)
        if token != self.client.access_token:  # logged out meanwhile
            if status == 200:
                self._witness.told_after(self, told, self._logged_out[token])
            return
        if status == 401:
            self.client.refuse(f"{self} is logged out by itself: {content}")
        self.attendance.polled(now, status)
        if status == 200:
            self.since = content["next_batch"]
            news = ", ".join(f"{user_id} {shown}" for user_id, shown in states.items())
            what = f"{self} polled {url} for {now - asked:.2f} s, {since} to {self.since}: {news}"
            self._note(what, self.name)
            self._witness.told(self, told)
            self.believes |= states
            self.learned |= dict.fromkeys(states, now)


def shown_by(content: dict[str, Any]) -> Shown:
    """Return what the content of an event, or of an answer to a GET, shows."""
    message = content.get("status_msg")
    return Shown(content["presence"], int(message.split()[1]) if message else 0)
