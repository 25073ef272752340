"""A slow and obvious model of presence, written from the design and not from the code.

Instead of the tracker's heap, the model looks at all users; instead of computing a deadline, the
model tries every instant at which anything could possibly happen. It shares the types of the
package (events, states, changes) and none of its rules. Durations are plain milliseconds.
"""

import copy
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from lamplighter.clock import Timestamp
from lamplighter.ids import UserId
from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.presence.events import (
    AccountDeactivated,
    Activity,
    DeviceGone,
    Event,
    RemoteUpdate,
    SetByModule,
    StatusSet,
    SyncEnded,
    Syncing,
)
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = ["Durations", "ReferenceModel"]

#: Highest first.
_ORDER = (Presence.BUSY, Presence.ONLINE, Presence.UNAVAILABLE, Presence.OFFLINE)
#: The phone that a user had before the restart; nobody knows its name.
_NAMELESS = ""


@dataclass(frozen=True)
class Durations:
    """The six durations of the design, in milliseconds."""

    granularity: int
    sync_online: int
    idle: int
    busy: int
    ping: int
    silence: int


@dataclass
class Phone:
    """A device."""

    says: Presence
    acted: int
    polled: int = 0
    #: What its polls said last.
    asked: Presence | None = None
    polling: bool = False
    #: Nobody set it to unavailable: the person did nothing for long.
    idle: bool = False


@dataclass
class Person:
    """A user; *speaker* is "devices", "server" or "module"."""

    shown: UserPresenceState
    told: UserPresenceState
    speaker: str
    phones: dict[str, Phone] = field(default_factory=dict)

    def set(self, **fields: object) -> None:
        self.shown = self.shown.copy_and_replace(**fields)

    def sayings(self) -> dict[str, Presence]:
        return {phone_id: phone.says for phone_id, phone in self.phones.items()}

    def phone(self, phone_id: str) -> Phone | None:
        """Return the phone; the first one to act is the one from before the restart."""
        if phone_id not in self.phones and _NAMELESS in self.phones:
            self.phones[phone_id] = self.phones.pop(_NAMELESS)
        return self.phones.get(phone_id)


class ReferenceModel:
    """The presence of all users, recomputed from scratch at every question."""

    def __init__(self, server_name: str, durations: Durations) -> None:
        self.server_name = server_name
        self.durations = durations
        self.people: dict[UserId, Person] = {}
        self.unsaved: set[UserId] = set()

    # The methods of the tracker.

    def feed(self, event: Event, now: Timestamp) -> list[Change]:
        """Return the changes that *event* makes."""
        person = self.people.setdefault(event.user_id, self._stranger(event.user_id))
        before = copy.deepcopy(person)
        self._hear(person, event, now)
        if person.sayings() != before.sayings():
            person.speaker = "devices"
        forced = ChangeReason.FORCED if isinstance(event, SetByModule) else None
        return self._look(person, before, forced, now)

    def expire(self, now: Timestamp) -> list[Change]:
        """Return the changes that time has made, for all users."""
        return [change for person in self.people.values() for change in self._age(person, now)]

    def get(self, user_id: UserId) -> UserPresenceState:
        """Return what is known of the user."""
        return self.people.get(user_id, self._stranger(user_id)).shown

    def next_change(self, now: Timestamp) -> int | None:
        """Return the first instant from *now* on at which time alone would announce something."""
        firsts = [self._next_change_of(person, now) for person in self.people.values()]
        return min((first for first in firsts if first is not None), default=None)

    def instants(self) -> list[int]:
        """Return every instant at which anything could happen to any user."""
        return sorted({i for person in self.people.values() for i in self._instants_of(person)})

    def restore(
        self, saved: Mapping[UserId, tuple[UserPresenceState, str]], now: Timestamp
    ) -> None:
        """Begin again with the states and speakers that were saved."""
        for user_id, (state, speaker) in saved.items():
            person = self.people[user_id] = Person(state, state, speaker)
            if speaker == "devices" and state.state != Presence.OFFLINE:
                says = Presence(state.state)
                person.phones[_NAMELESS] = Phone(
                    says, acted=state.last_active_ts, polled=now, asked=Presence.ONLINE
                )

    # What the events mean.

    def _hear(self, person: Person, event: Event, now: Timestamp) -> None:
        match event:
            case Syncing():
                self._poll_begins(person, event, now)
            case SyncEnded():
                self._poll_ends(person, event, now)
            case StatusSet():
                self._person_says(person, event, now)
            case Activity():
                self._person_acts(person, event, now)
            case DeviceGone():
                person.phones.pop(event.device_id, None)
            case AccountDeactivated():
                person.phones.clear()
                person.speaker = "devices"
                person.set(status_msg=None)
            case RemoteUpdate():
                self._server_speaks(person, event, now)
            case SetByModule():
                person.speaker = "module"
                person.set(state=event.presence, status_msg=event.status_msg)

    def _poll_begins(self, person: Person, event: Syncing, now: Timestamp) -> None:
        after_restart = event.device_id not in person.phones and _NAMELESS in person.phones
        phone = person.phone(event.device_id)
        if phone is None:
            phone = person.phones[event.device_id] = Phone(event.set_presence, acted=0)
            if person.shown.last_active_ts == 0:
                phone.acted = now
            news = True
        else:
            pause = 0 if phone.polling or after_restart else now - phone.polled
            news = event.is_first or event.set_presence != phone.asked or pause >= 10_000
        if news:
            if phone.says != Presence.BUSY:
                phone.says = event.set_presence
            phone.idle = False
            if phone.says == Presence.ONLINE or event.is_activity:
                phone.acted = now
        elif event.is_activity and (phone.idle or phone.says in (Presence.ONLINE, Presence.BUSY)):
            phone.says = Presence.BUSY if phone.says == Presence.BUSY else Presence.ONLINE
            phone.idle = False
            phone.acted = now
        phone.polling = True
        phone.polled = now
        phone.asked = event.set_presence
        last_active = max(person.shown.last_active_ts, phone.acted)
        person.set(last_user_sync_ts=now, last_active_ts=last_active)

    def _poll_ends(self, person: Person, event: SyncEnded, now: Timestamp) -> None:
        phone = person.phones.get(event.device_id)
        if phone is not None and phone.polling:
            phone.polling = False
            ended = now if event.ended_ts is None else min(event.ended_ts, now)
            phone.polled = max(phone.polled, ended)
            person.set(last_user_sync_ts=max(person.shown.last_user_sync_ts, ended))

    def _person_says(self, person: Person, event: StatusSet, now: Timestamp) -> None:
        phone = person.phone(event.device_id) or Phone(event.presence, now)
        phone.says, phone.idle = event.presence, False
        phone.acted = now
        person.phones[event.device_id] = phone
        person.speaker = "devices"
        person.set(status_msg=event.status_msg, last_active_ts=now)

    def _person_acts(self, person: Person, event: Activity, now: Timestamp) -> None:
        phone = person.phone(event.device_id)
        if phone is not None and phone.says != Presence.OFFLINE:
            phone.acted, phone.idle = now, False
            if phone.says == Presence.UNAVAILABLE:
                phone.says = Presence.ONLINE
            person.set(last_active_ts=now)

    def _server_speaks(self, person: Person, event: RemoteUpdate, now: Timestamp) -> None:
        person.speaker = "server"
        person.set(
            state=event.presence,
            status_msg=event.status_msg,
            last_federation_update_ts=now,
            currently_active=event.presence == Presence.ONLINE and event.currently_active,
        )
        if event.last_active_ago is not None:
            ago = event.last_active_ago // timedelta(milliseconds=1)
            person.set(last_active_ts=max(0, now - ago))

    # What time does.

    def _age(self, person: Person, now: int) -> list[Change]:
        before = copy.deepcopy(person)
        ping = ChangeReason.FEDERATION_PING if self._ping_is_due(person, now) else None
        for phone_id, phone in list(person.phones.items()):
            busy = phone.says == Presence.BUSY
            grace = self.durations.busy if busy else self.durations.sync_online
            if not phone.polling and now >= max(phone.polled, phone.acted) + grace:
                del person.phones[phone_id]
            elif phone.says == Presence.ONLINE and now >= phone.acted + self.durations.idle:
                phone.says, phone.idle = Presence.UNAVAILABLE, True
        if person.sayings() != before.sayings():
            person.speaker = "devices"
        if person.speaker == "server":
            heard = person.shown.last_federation_update_ts
            if now >= heard + self.durations.silence:
                person.set(state=Presence.OFFLINE, currently_active=False)
        return self._look(person, before, ping, now)

    def _ping_is_due(self, person: Person, now: int) -> bool:
        """Tell whether the user's place in the period has come since the last ping."""
        if not self._is_mine(person) or person.shown.state == Presence.OFFLINE:
            return False
        place = self._place(person)
        told = person.shown.last_federation_update_ts
        return (now - place) // self.durations.ping > (told - place) // self.durations.ping

    # Which changes are announced.

    def _look(
        self, person: Person, before: Person, otherwise: ChangeReason | None, now: int
    ) -> list[Change]:
        if person.speaker != "server":
            if person.speaker == "devices":
                sayings = person.sayings().values()
                person.set(state=next((p for p in _ORDER if p in sayings), Presence.OFFLINE))
            recent = now - person.shown.last_active_ts < self.durations.granularity
            person.set(currently_active=recent and person.shown.state == Presence.ONLINE)
        user_id = UserId(person.shown.user_id)
        reason = self._reason(person.told, person.shown) or otherwise
        if reason is None:
            if (person.shown, person.speaker) != (before.shown, before.speaker):
                self.unsaved.add(user_id)
            return []
        if person.speaker != "server":
            person.set(last_federation_update_ts=now)
        self.unsaved.discard(user_id)
        change = Change(person.told, person.shown, reason)
        if reason is not ChangeReason.FEDERATION_PING:  # of which local viewers hear nothing
            person.told = person.shown
        return [change]

    def _reason(self, told: UserPresenceState, new: UserPresenceState) -> ChangeReason | None:
        online = new.state == Presence.ONLINE
        advance = new.last_active_ts - told.last_active_ts
        reasons = {
            ChangeReason.STATUS_MSG: new.status_msg != told.status_msg,
            ChangeReason.STATE: new.state != told.state,
            ChangeReason.CURRENTLY_ACTIVE: online and new.currently_active != told.currently_active,
            ChangeReason.LAST_ACTIVE: advance > self.durations.granularity,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    # The future, by trying.

    def _next_change_of(self, person: Person, now: Timestamp) -> int | None:
        trial = ReferenceModel(self.server_name, self.durations)
        guinea_pig = copy.deepcopy(person)
        for instant in sorted({max(now, instant) for instant in self._instants_of(person)}):
            if trial._age(guinea_pig, instant):
                return instant
        return None

    def _instants_of(self, person: Person) -> list[int]:
        told = person.shown.last_federation_update_ts
        round_begins = told - told % self.durations.ping
        instants = [round_begins + self._place(person) + n * self.durations.ping for n in (0, 1)]
        instants.append(told + self.durations.silence)
        instants.append(person.shown.last_active_ts + self.durations.granularity)
        for phone in person.phones.values():
            instants.append(phone.acted + self.durations.idle)
            for moment in (phone.acted, phone.polled):
                instants += [moment + self.durations.sync_online, moment + self.durations.busy]
        return instants

    def _place(self, person: Person) -> int:
        return zlib.crc32(person.shown.user_id.encode()) % self.durations.ping

    def _is_mine(self, person: Person) -> bool:
        return person.shown.user_id.endswith(f":{self.server_name}")

    def _stranger(self, user_id: UserId) -> Person:
        nothing = UserPresenceState.default(user_id)
        person = Person(nothing, nothing, "devices")
        if not self._is_mine(person):
            person.speaker = "server"
        return person
