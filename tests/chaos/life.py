"""What people do: statuses, joins and leaves, log-outs and log-ins, looks at others, absences."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from random import Random  # noqa: TID251 - seeded: each person does the same in the same order
from typing import Final

from lamplighter.ids import RoomId
from tests.chaos.client import Refused
from tests.chaos.diary import Diary
from tests.chaos.oracle import Oracle, Problem
from tests.chaos.passing import instant, pause
from tests.chaos.person import Person, shown_by

__all__ = ["Life", "password_of"]

#: How long a person does nothing between two acts, in seconds, on the average.
_IDLES: Final = 4.0
#: How long a person is away.
_AWAY: Final = (2.0, 45.0)


def password_of(person: Person) -> str:
    """Return the password with which a person logs in."""
    return f"pw-of-{person.name}"


class Life:
    """Lets one person act until it is calm."""

    def __init__(
        self, person: Person, oracle: Oracle, rooms: Sequence[RoomId], diary: Diary, random: Random
    ) -> None:
        self.person, self._oracle, self._rooms, self._diary = person, oracle, rooms, diary
        self._random = random
        self._calm = asyncio.Event()
        acts: dict[Callable[[], Awaitable[None]], int] = {
            self._put: 12,
            self._look: 6,
            self._move: 3,
            self._log_out: 1,
            self._go_away: 1,
        }
        self._acts = [act for act, weight in acts.items() for _ in range(weight)]

    def calm(self) -> None:
        """Let the present act be the last one."""
        self._calm.set()

    async def live(self) -> None:
        """Act until it is calm, or an answer is wrong."""
        self._calm.clear()
        with suppress(Refused):
            while not self._calm.is_set():
                await self._wait(self._random.expovariate(1 / _IDLES))
                if not self._calm.is_set():
                    await self._random.choice(self._acts)()

    async def move(self, room_id: RoomId, verb: str) -> None:
        """Join or leave a room, whatever it takes."""
        person, sight = self.person, self._oracle.sight
        self._note(f"asks to {verb} {room_id}", room_id)
        sight.joining(room_id, person.user_id, instant())
        # Whoever asks again to leave has perhaps left.
        may = frozenset({403} if verb == "leave" else ())
        path = f"_matrix/client/v3/rooms/{room_id}/{verb}"
        await person.client.carry_out(path, may=may)
        sight.joined(room_id, person.user_id, instant(), is_in=verb == "join")
        self._note(f"{verb} {room_id}: done", room_id)

    async def _put(self) -> None:
        url = self._random.choice(self.person.client.urls)
        self._note(f"sets the status {self.person.next_number} at {url}")
        number, status = await self.person.put(url)
        self._note(f"has set the status {number}: {status}")

    async def _move(self) -> None:
        room_id = self._random.choice(self._rooms)
        is_in = room_id in self._oracle.sight.rooms_of(self.person.user_id)
        await self.move(room_id, "leave" if is_in else "join")

    async def _look(self) -> None:
        user = self._random.choice(list(self._oracle.people.values()))
        await self.look_at(user)

    async def look_at(self, user: Person, url: str = "") -> bool:
        """GET the presence of a user, at one node; return whether there was an answer."""
        person, asked = self.person, instant()
        status, content = await person.client.ask(
            "GET",
            f"_matrix/client/v3/presence/{user.user_id}/status",
            url=url,
            may=frozenset({403}),
        )
        if status in (200, 403):
            shown = shown_by(content) if status == 200 else None
            self._oracle.got(person, user, asked, shown)
        return status in (200, 403)

    async def _log_out(self) -> None:
        person = self.person
        self._note("asks to log out")
        token = await person.log_out()
        self._note("is logged out")
        for url in person.client.urls:
            status, _ = await person.client.ask(
                "GET",
                "_matrix/client/v3/account/whoami",
                url=url,
                token=token,
                may=frozenset({401}),
            )
            if status == 200:
                what = f"is logged out, but {url} takes the token"
                self._oracle.problems.append(Problem(person, person, what))
        who = {"type": "m.id.user", "user": person.name}
        login = {"type": "m.login.password", "identifier": who, "password": password_of(person)}
        await person.log_in("login", login)
        self._note("is logged in")

    async def _go_away(self) -> None:
        self._note("goes away")
        self.person.go_away()
        await self._wait(self._random.uniform(*_AWAY))
        if not self._calm.is_set():
            self.come_back()

    def come_back(self) -> None:
        """Let the person poll again."""
        self._note("comes back")
        self.person.begin_to_poll()

    async def _wait(self, seconds: float) -> None:
        waiting = asyncio.ensure_future(pause(seconds))
        calm = asyncio.ensure_future(self._calm.wait())
        await asyncio.wait([waiting, calm], return_when=asyncio.FIRST_COMPLETED)
        for it in (waiting, calm):
            it.cancel()

    def _note(self, what: str, *about: str) -> None:
        self._diary.note(f"{self.person} {what}", self.person.name, *about)
