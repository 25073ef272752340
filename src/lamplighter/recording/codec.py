"""Events as lines of JSON: short, and still to be read by people with `zcat`.

Users and rooms are numbers, each of which is introduced in the same file before it is used.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import singledispatchmethod
from typing import Final

import msgspec

from lamplighter.clock import Timestamp, milliseconds
from lamplighter.errors import RecordUnreadable
from lamplighter.ids import RoomId, ServerName, StreamPosition, UserId
from lamplighter.ports import Account
from lamplighter.presence.state import UserPresenceState
from lamplighter.recording import lines
from lamplighter.recording.events import (
    Accounts,
    Away,
    Batch,
    Began,
    Event,
    Known,
    Late,
    Looking,
    Met,
    Moved,
    Sight,
    Told,
    Viewed,
)
from lamplighter.routing.reasons import AllUsers, Module, Reason, Self, SharedRoom

__all__ = ["Decoder", "Encoder"]

#: The form that is written here.
_VERSION: Final = 1


class Encoder:
    """Writes the events of one file."""

    def __init__(self) -> None:
        self._users: dict[UserId, int] = {}
        self._rooms: dict[RoomId, int] = {}
        self._new: list[lines.Line] = []
        self._encoder = msgspec.json.Encoder()

    def encode(self, event: Event) -> bytes:
        """Return the lines for *event*, with those that introduce users and rooms before them."""
        found = list(self._lines(event))
        introductions, self._new = self._new, []
        return b"".join(self._encoder.encode(it) + b"\n" for it in (*introductions, *found))

    @singledispatchmethod
    def _lines(self, event: Event) -> Iterable[lines.Line]:
        raise TypeError(f"{event!r} is no event")

    @_lines.register
    def _began(self, event: Began) -> Iterable[lines.Line]:
        timeout = milliseconds(event.module_timeout)
        return [lines.BeganLine(event.at, _VERSION, event.server_name, timeout)]

    @_lines.register
    def _accounts(self, event: Accounts) -> Iterable[lines.Line]:
        return [
            lines.AccountLine(
                event.at,
                self._user(account.user_id),
                account.created_ts,
                account.is_admin,
                account.is_deactivated,
            )
            for account in event.accounts
        ]

    @_lines.register
    def _known(self, event: Known) -> Iterable[lines.Line]:
        return [lines.KnownLine(event.at, [self._state(it) for it in event.states])]

    @_lines.register
    def _looking(self, event: Looking) -> Iterable[lines.Line]:
        return [lines.LookingLine(event.at, self._numbers(event.viewers))]

    @_lines.register
    def _away(self, event: Away) -> Iterable[lines.Line]:
        return [lines.AwayLine(event.at, self._numbers(event.viewers))]

    @_lines.register
    def _moved(self, event: Moved) -> Iterable[lines.Line]:
        room, user = self._room(event.room_id), self._user(event.user_id)
        return [lines.MovedLine(event.at, room, user, event.joined)]

    @_lines.register
    def _batch(self, event: Batch) -> Iterable[lines.Line]:
        states = [self._state(it) for it in event.states]
        return [lines.BatchLine(event.at, event.position, states, self._told(event.told))]

    @_lines.register
    def _late(self, event: Late) -> Iterable[lines.Line]:
        return [lines.LateLine(event.at, event.about, self._told(event.told))]

    @_lines.register
    def _met(self, event: Met) -> Iterable[lines.Line]:
        return [lines.MetLine(event.at, self._told(event.told))]

    @_lines.register
    def _viewed(self, event: Viewed) -> Iterable[lines.Line]:
        users = None if event.users is None else self._numbers(event.users)
        groups = self._groups(event.sights)
        return [lines.ViewedLine(event.at, self._user(event.viewer), event.looks, users, groups)]

    def _told(self, told: Told) -> list[lines.ToldLine]:
        return [
            lines.ToldLine(self._user(user_id), self._groups(seen))
            for user_id, seen in told.items()
        ]

    def _groups(self, sights: Mapping[UserId, Sight]) -> list[lines.GroupLine]:
        # By identity: to compare the reasons of each recipient would cost more than the rest.
        grouped: dict[int, tuple[Sight, list[int]]] = {}
        for user_id, sight in sights.items():
            group = grouped.get(id(sight))
            if group is None:
                group = grouped[id(sight)] = sight, []
            group[1].append(self._user(user_id))
        return [
            lines.GroupLine([self._reason(it) for it in reasons], users, dict(altered) or None)
            for (altered, reasons), users in grouped.values()
        ]

    def _reason(self, reason: Reason) -> lines.ReasonLine:
        match reason:
            case SharedRoom(room_id):
                return lines.RoomLine(self._room(room_id))
            case Module(name):
                return lines.ModuleLine(name)
            case AllUsers(module):
                return lines.AllLine(module)
            case Self():
                return lines.SelfLine()

    def _state(self, state: UserPresenceState) -> lines.StateLine:
        return lines.StateLine(
            self._user(UserId(state.user_id)),
            state.state,
            state.last_active_ts,
            state.last_federation_update_ts,
            state.last_user_sync_ts,
            state.status_msg,
            state.currently_active,
        )

    def _numbers(self, user_ids: Iterable[UserId]) -> list[int]:
        return [self._user(user_id) for user_id in user_ids]

    def _user(self, user_id: UserId) -> int:
        number = self._users.get(user_id)
        if number is None:
            number = self._users[user_id] = len(self._users)
            self._new.append(lines.NewUserLine(user_id))
        return number

    def _room(self, room_id: RoomId) -> int:
        number = self._rooms.get(room_id)
        if number is None:
            number = self._rooms[room_id] = len(self._rooms)
            self._new.append(lines.NewRoomLine(room_id))
        return number


class Decoder:
    """Reads the events of one file."""

    def __init__(self) -> None:
        self._users: list[UserId] = []
        self._rooms: list[RoomId] = []
        self._decoder = msgspec.json.Decoder(lines.Line)

    def decode(self, line: bytes) -> Event | None:
        """Return the event of *line*; None if it only introduces somebody.

        Raises `RecordUnreadable` for what was not written by an `Encoder`.
        """
        try:
            return self._event(self._decoder.decode(line))
        except (msgspec.DecodeError, IndexError) as error:
            raise RecordUnreadable(f"no line of a record: {error}") from None

    def _event(self, line: lines.Line) -> Event | None:
        match line:
            case lines.NewUserLine(user_id):
                self._users.append(UserId(user_id))
                return None
            case lines.NewRoomLine(room_id):
                self._rooms.append(RoomId(room_id))
                return None
            case lines.BatchLine() | lines.LateLine() | lines.MetLine() | lines.ViewedLine():
                return self._decision(line)
            case _:
                return self._circumstance(line)

    def _decision(
        self, line: lines.BatchLine | lines.LateLine | lines.MetLine | lines.ViewedLine
    ) -> Event:
        at = Timestamp(line.at)
        match line:
            case lines.BatchLine(_, position, states, told):
                known = [self._state(it) for it in states]
                return Batch(at, StreamPosition(position), known, self._told(told))
            case lines.LateLine(_, about, told):
                return Late(at, StreamPosition(about), self._told(told))
            case lines.MetLine(_, told):
                return Met(at, self._told(told))
            case lines.ViewedLine(_, viewer, looks, users, sights):
                those = None if users is None else self._named(users)
                return Viewed(at, self._users[viewer], looks, those, self._sights(sights))

    def _circumstance(
        self,
        line: lines.BeganLine
        | lines.AccountLine
        | lines.KnownLine
        | lines.LookingLine
        | lines.AwayLine
        | lines.MovedLine,
    ) -> Event:
        at = Timestamp(line.at)
        match line:
            case lines.BeganLine(_, version, server_name, timeout):
                if version != _VERSION:
                    raise RecordUnreadable(f"version {version} of a record; this is for {_VERSION}")
                return Began(at, ServerName(server_name), timedelta(milliseconds=timeout))
            case lines.AccountLine(_, user, created_ts, is_admin, is_deactivated):
                user_id = self._users[user]
                account = Account(user_id, Timestamp(created_ts), is_admin, is_deactivated)
                return Accounts(at, [account])
            case lines.KnownLine(_, states):
                return Known(at, [self._state(it) for it in states])
            case lines.LookingLine(_, users):
                return Looking(at, self._named(users))
            case lines.AwayLine(_, users):
                return Away(at, self._named(users))
            case lines.MovedLine(_, room, user, joined):
                return Moved(at, self._rooms[room], self._users[user], joined)

    def _told(self, told: list[lines.ToldLine]) -> Told:
        return {self._users[it.user]: self._sights(it.groups) for it in told}

    def _sights(self, groups: list[lines.GroupLine]) -> Mapping[UserId, Sight]:
        sights: dict[UserId, Sight] = {}
        for group in groups:
            altered = tuple((group.altered or {}).items())
            reasons = tuple(self._reason(it) for it in group.reasons)
            sights.update(dict.fromkeys(self._named(group.users), (altered, reasons)))
        return sights

    def _reason(self, reason: lines.ReasonLine) -> Reason:
        match reason:
            case lines.RoomLine(room):
                return SharedRoom(self._rooms[room])
            case lines.ModuleLine(name):
                return Module(name)
            case lines.AllLine(module):
                return AllUsers(module)
            case lines.SelfLine():
                return Self()

    def _state(self, line: lines.StateLine) -> UserPresenceState:
        return UserPresenceState(
            self._users[line.user],
            line.state,
            line.last_active_ts,
            line.last_federation_update_ts,
            line.last_user_sync_ts,
            line.status_msg,
            line.currently_active,
        )

    def _named(self, numbers: Iterable[int]) -> list[UserId]:
        return [self._users[number] for number in numbers]
