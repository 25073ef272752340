"""A seeded story: people live, nodes and engines fail, an operator reloads; then it is calm."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from random import Random  # noqa: TID251 - seeded: the same acts and faults in the same order
from typing import Final

import aiohttp

from lamplighter.ids import RoomId, UserId
from tests.chaos.client import Client, Refusals, Refused
from tests.chaos.cluster import ChaosCluster
from tests.chaos.diary import Diary
from tests.chaos.life import Life, password_of
from tests.chaos.oracle import Oracle, Problem
from tests.chaos.passing import Lateness, instant, pause
from tests.chaos.person import GRACE, Person
from tests.chaos.rules import Rule, random_rule
from tests.chaos.sight import Sight
from tests.interop.processes import SERVER

__all__ = ["USERS", "Story"]

USERS: Final = tuple(UserId(f"@user{number}:{SERVER}") for number in range(60))
_ROOMS: Final = 6
#: So many people register at once.
_AT_ONCE: Final = 10
#: The pauses between two faults, and between two reloads, in seconds.
_BETWEEN_FAULTS: Final = (0.5, 3.0)
_BETWEEN_RELOADS: Final = (5.0, 15.0)
#: For so many seconds people go on once no fault can be a reason any more for what they are told.
_GOES_ON: Final = 8.0
#: In so many seconds all nodes are ready again, and modules are replaced, on the slowest machine.
_STARTS: Final = 60.0
#: Whoever has been away for so long stays away while it is calm, and is to be shown offline.
_STAYS_AWAY: Final = 10.0
#: What has happened so many seconds before a problem is told with it.
_TOLD: Final = 40.0
_MOST_TOLD: Final = 12


class Story:
    """Everybody and everything of one run."""

    def __init__(
        self,
        seed: int,
        http: aiohttp.ClientSession,
        cluster: ChaosCluster,
        diary: Diary,
        rule: Rule,
    ) -> None:
        self._random, self._http, self._cluster, self._diary = Random(seed), http, cluster, diary
        self._lateness, self._refusals = Lateness(), Refusals()
        self.oracle = Oracle(
            Sight(USERS, rule),
            self._lateness,
            cluster.blackouts,
            cluster.darknesses,
            cluster.freezes,
            cluster.kills,
            cluster.outages,
        )
        self._rooms: list[RoomId] = []
        self._lives: list[Life] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._faults_end, self._calm = asyncio.Event(), asyncio.Event()

    @property
    def _people(self) -> Sequence[Person]:
        return tuple(self.oracle.people.values())

    async def begin(self) -> None:
        """Register everybody, and let everybody join rooms and poll."""
        self._tasks.append(asyncio.ensure_future(self._lateness.measure()))
        await self._cluster.all_ready(_STARTS)
        for user_id in USERS:
            random = Random(self._random.random())
            client = Client(self._http, self._cluster.urls, self._refusals, random)
            person = Person(user_id, client, self.oracle, self._diary.note)
            self.oracle.people[user_id] = person
            random = Random(self._random.random())
            self._lives.append(Life(person, self.oracle, self._rooms, self._diary, random))
        for at in range(0, len(USERS), _AT_ONCE):  # hashes of passwords take their time
            await asyncio.gather(*map(_register, self._people[at : at + _AT_ONCE]))
        for number in range(_ROOMS):
            await self._make_room(f"room{number}", self._lives[number])
        await asyncio.gather(*(self._join(life) for life in self._lives))
        for person in self._people:
            self._tasks.append(asyncio.ensure_future(person.live()))
            person.begin_to_poll()

    async def _make_room(self, name: str, life: Life) -> None:
        # No alias: a second try, after a 503, would find it in use by the room of the first one.
        body = {"preset": "public_chat", "name": name}
        room_id = RoomId((await life.person.insist("POST", "createRoom", body))["room_id"])
        self._rooms.append(room_id)
        self.oracle.sight.add_room(room_id)
        self.oracle.sight.joined(room_id, life.person.user_id, instant(), is_in=True)

    async def _join(self, life: Life) -> None:
        for room_id in self._random.sample(self._rooms, self._random.choice([1, 1, 2])):
            await life.move(room_id, "join")

    async def round(self, seconds: float) -> None:
        """Let people live, and everything fail, for so many seconds; return once all is well."""
        if self._is_wrong:  # before anybody has begun to live
            return
        self._faults_end.clear()
        self._calm.clear()
        faults, reloads = map(asyncio.ensure_future, (self._disturb(), self._reload()))
        lives = [asyncio.ensure_future(life.live()) for life in self._lives]
        await self._go_on(seconds)
        self._faults_end.set()
        await faults
        if not self._is_wrong:
            await self._cluster.all_ready(_STARTS)
            self._diary.note("nothing fails any more")
            self.oracle.quiet_since = instant()
            await self._go_on(self.oracle.allowance + _GOES_ON)
        self._calm.set()
        for life in self._lives:
            life.calm()
        await asyncio.gather(reloads, *lives)
        if not self._is_wrong:
            with suppress(Refused):  # that is noted
                await self._settle()
        self.oracle.quiet_since = inf

    async def _go_on(self, seconds: float) -> None:
        """Let what is under way go on for so many seconds, or until something is wrong."""
        until = instant() + seconds
        while instant() < until and not self._is_wrong:
            await pause(0.2)

    async def _settle(self) -> None:
        """Return once everybody believes the truth, and every node tells it."""
        self._diary.note("it is calm")
        for life in self._lives:
            away_since = life.person.away_since
            if away_since is not None and instant() - away_since < _STAYS_AWAY:
                life.come_back()
        await self._cluster.all_ready(_STARTS)
        began, sights = instant(), self.oracle.sights_now()
        while false := self.oracle.false_beliefs(sights):
            # Whoever is away is shown offline after the grace, which may have begun just now.
            if self._is_wrong or instant() - began > GRACE + 2 * self.oracle.allowance:
                break
            await pause(1.0)
        if not self._is_wrong:
            self.oracle.problems += false
        looked = f"{self.oracle.answers} answers and {self.oracle.states} states were looked at"
        self._diary.note(f"{len(false)} beliefs are false; {looked}")
        for life in self._lives:
            if self._is_wrong:
                return
            await self._check(life)

    async def _check(self, life: Life) -> None:
        """Look at one user at each node, and at the rooms of the person."""
        person = life.person
        for url in self._cluster.urls:
            user = self._random.choice(self._people)
            until = instant() + _STARTS
            while not await life.look_at(user, url):
                if instant() > until:
                    person.client.refuse(f"{url} does not tell {person} of {user}")
                await pause(0.1)
        joined = await person.insist("GET", "joined_rooms")
        expected = set(self.oracle.sight.rooms_of(person.user_id))
        if set(joined["joined_rooms"]) != expected:
            what = f"has joined {sorted(joined['joined_rooms'])}, not {sorted(expected)}"
            self.oracle.problems.append(Problem(person, person, what))

    async def _disturb(self) -> None:
        while not self._faults_end.is_set():
            await self._cluster.fault(self._random)
            await pause(self._random.uniform(*_BETWEEN_FAULTS))

    async def _reload(self) -> None:
        """Replace the rule of the module now and then, until it is calm."""
        random = Random(self._random.random())
        while not self._calm.is_set():
            await pause(random.uniform(*_BETWEEN_RELOADS))
            [rule] = self.oracle.sight.rule.now
            rule = random_rule(rule.version + 1, USERS, random)
            self.oracle.sight.rule.may_be(instant(), {*self.oracle.sight.rule.now, rule})
            self._cluster.configure(rule)
            if await self._load(rule.version, random):
                self.oracle.sight.rule.may_be(instant(), {rule})
                self._diary.note(f"rule {rule.version} is loaded")

    async def _load(self, version: int, random: Random) -> bool:
        """Ask for a reload until it is done; return whether it is."""
        until = instant() + _STARTS
        while why := await self._cluster.reload(random):
            self._diary.note(f"rule {version} is not loaded: {why}")
            if instant() > until:
                self._cluster.problems.append(f"rule {version} is not loaded: {why}")
                return False
            await pause(1.0)
        return True

    async def end(self) -> None:
        """Let nobody poll any more."""
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    # --- what is wrong --------------------------------------------------------------------

    @property
    def _is_wrong(self) -> bool:
        return bool(self.oracle.problems or self._refusals.found or self._cluster.problems)

    async def problems(self) -> list[str]:
        """Return what is wrong, with what has led to it, and with what the nodes say of it."""
        if not self._is_wrong:
            return []
        found = [*map(str, self.oracle.problems), *self._refusals.found, *self._cluster.problems]
        told = self.oracle.problems[0] if self.oracle.problems else None
        lines = [
            *found[:_MOST_TOLD],
            f"{len(found)} problems; late by {self._lateness.seconds:.2f} s",
        ]
        names = {told.viewer.name, told.user.name} if told else set[str]()
        lines += self._diary.about(names, _TOLD)
        if told is not None:
            ids = told.viewer.user_id, told.user.user_id
            lines.append(self.oracle.sight.shown_by_rules(*ids))
            lines += await self._cluster.explain(*ids)
        return lines


async def _register(person: Person) -> None:
    auth = {"type": "m.login.dummy"}
    body = {"username": person.name, "password": password_of(person), "auth": auth}
    await person.log_in("register", body)
