"""The tracker compared with the slow and obvious model, in random stories."""

import copy
from dataclasses import astuple
from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from lamplighter.clock import Timestamp
from lamplighter.ids import DeviceId, ServerName, UserId
from lamplighter.presence.changes import Change
from lamplighter.presence.events import (
    AccountDeactivated,
    Activity,
    DeviceEvent,
    DeviceGone,
    Event,
    RemoteUpdate,
    SetByModule,
    StatusSet,
    SyncEnded,
    Syncing,
)
from lamplighter.presence.machine import Rules, StateSource, TrackedUser
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.timers import Timers
from lamplighter.presence.tracker import PresenceTracker
from tests.effort import EXAMPLES
from tests.presence.reference import Durations, ReferenceModel

HERE = ServerName("here")
OURS = [UserId("@alice:here"), UserId("@bob:here")]
THEIRS = [UserId("@dave:there"), UserId("@erin:there:8448")]
EVERYBODY = [*OURS, *THEIRS]
SPEAKERS = {it: it.name.lower() for it in StateSource}

presences = st.sampled_from(list(Presence))
messages = st.sampled_from([None, "", "at lunch", "back soon"])
ours = st.sampled_from(OURS)
devices = st.sampled_from([DeviceId("PHONE"), DeviceId("LAPTOP")])
asked = st.sampled_from(
    [Presence.ONLINE, Presence.ONLINE, Presence.UNAVAILABLE, Presence.UNAVAILABLE, Presence.BUSY]
)
seldom = st.sampled_from([False, False, False, True])
agos = st.none() | st.integers(0, 10**7).map(lambda ms: timedelta(milliseconds=ms))

syncs = st.builds(Syncing, ours, devices, asked, seldom, seldom) | st.builds(
    SyncEnded, ours, devices
)
puts = st.builds(StatusSet, ours, devices, presences, messages)
deeds = st.builds(Activity, ours, devices)
departures = st.builds(DeviceGone, ours, devices) | st.builds(AccountDeactivated, ours)
remote_updates = st.builds(
    RemoteUpdate, st.sampled_from(THEIRS), presences, messages, agos, st.booleans()
)
modules = st.builds(SetByModule, st.sampled_from(EVERYBODY), presences, messages)

odd_durations = st.builds(Durations, *[st.integers(1, 10_000)] * 6)
usual_durations = st.just(Durations(60_000, 30_000, 300_000, 3_600_000, 1_500_000, 1_800_000))
jumps = st.integers(0, 20) | st.integers(0, 20_000) | st.integers(0, 10**7)


def timers_of(durations: Durations) -> Timers:
    """Return the same durations in the words of the package."""
    return Timers(*(timedelta(milliseconds=it) for it in astuple(durations)))


def by_user(changes: list[Change]) -> list[Change]:
    """Sort by user only: a user's changes keep their order, the users need none."""
    return sorted(changes, key=lambda change: change.new.user_id)


def without_tellings(tracker: PresenceTracker) -> list[UserPresenceState]:
    """Return all states without the time of the last announcement to other servers."""
    return [state.copy_and_replace(last_federation_update_ts=0) for state in tracker.known()]


class Comparison(RuleBasedStateMachine):
    """Does the same to both, and compares all that can be seen from outside."""

    @initialize(
        durations=usual_durations | odd_durations,
        start=st.sampled_from([0, 1, 1_704_067_200_000]),
    )
    def begin(self, durations: Durations, start: int) -> None:
        self.durations = durations
        self.set_by_operator = Rules(timers_of(durations))
        self.now = Timestamp(start)
        self.tracker = PresenceTracker(HERE, self.set_by_operator)
        self.model = ReferenceModel(HERE, durations)
        self.disk: dict[UserId, TrackedUser] = {}
        self.spoke_last: tuple[UserId, DeviceId] | None = None

    # Events. The timer may be late: then the event comes before `expire` does.

    @rule(event=puts | deeds, late=st.booleans())
    def somebody_of_ours_does_something(self, event: Event, late: bool) -> None:
        self._feed(event, late)

    @rule(event=syncs, late=st.booleans())
    def a_client_polls(self, event: Event, late: bool) -> None:
        self._feed(event, late)

    @rule(set_presence=asked, is_first=seldom, is_activity=st.booleans(), late=st.booleans())
    def the_device_that_spoke_last_polls(
        self, set_presence: Presence, is_first: bool, is_activity: bool, late: bool
    ) -> None:
        if self.spoke_last is not None:
            self._feed(Syncing(*self.spoke_last, set_presence, is_first, is_activity), late)

    @rule(late=st.booleans())
    def the_device_that_spoke_last_polls_no_more(self, late: bool) -> None:
        if self.spoke_last is not None:
            self._feed(SyncEnded(*self.spoke_last), late)

    @rule(event=departures | remote_updates | modules, late=st.booleans())
    def something_else_happens(self, event: Event, late: bool) -> None:
        self._feed(event, late)

    # Time.

    @rule(milliseconds=jumps)
    def time_jumps(self, milliseconds: int) -> None:
        self._pass_to(self.now + milliseconds)

    @rule(which=st.integers(0, 30), offset=st.sampled_from([-1, 0, 1]))
    def time_jumps_to_where_it_matters(self, which: int, offset: int) -> None:
        ahead = [instant for instant in self.model.instants() if instant > self.now]
        if ahead:
            self._pass_to(ahead[which % len(ahead)] + offset)

    @rule(offset=st.sampled_from([-1, 0, 1]))
    def time_passes_to_the_next_announcement(self, offset: int) -> None:
        instant = self.model.next_change(self.now)
        if instant is not None:
            self._pass_to(instant + offset)

    @rule(milliseconds=jumps)
    def time_jumps_unseen(self, milliseconds: int) -> None:
        self.now = Timestamp(self.now + milliseconds)

    @rule(milliseconds=jumps, steps=st.integers(1, 20))
    def many_small_steps_lead_where_one_big_step_does(self, milliseconds: int, steps: int) -> None:
        end = Timestamp(self.now + milliseconds)
        small, big = copy.deepcopy(self.tracker), copy.deepcopy(self.tracker)
        for step in range(steps):
            due = small.next_deadline() or end
            share = self.now + milliseconds * step // steps
            small.expire(Timestamp(min(end, max(due, share))))
        small.expire(end)
        big.expire(end)

        assert without_tellings(small) == without_tellings(big)

    # Restarts.

    @rule()
    def quiet_changes_are_saved(self) -> None:
        unsaved = {UserId(user.state.user_id): user for user in self.tracker.take_unsaved()}
        expected, self.model.unsaved = self.model.unsaved, set()
        self.disk |= unsaved

        assert unsaved.keys() == expected
        assert self.tracker.take_unsaved() == []
        assert {u: (user.state, user.source) for u, user in self._current().items()} == {
            u: (user.state, user.source) for u, user in self._saved().items()
        }

    @rule(cleanly=st.booleans(), devices_too=st.booleans(), pause=jumps)
    def the_server_restarts(self, cleanly: bool, devices_too: bool, pause: int) -> None:
        if cleanly:
            self.quiet_changes_are_saved()
        self.now = Timestamp(self.now + pause)
        saved = self.disk.values()
        users = saved if devices_too else [TrackedUser(user.state, user.source) for user in saved]
        self.tracker = PresenceTracker(HERE, self.set_by_operator)
        self.tracker.restore(users, self.now)
        self.model = ReferenceModel(HERE, self.durations)
        self.model.restore(
            {u: (user.state, SPEAKERS[user.source]) for u, user in self.disk.items()}, self.now
        )

    # What must hold at every moment.

    @invariant()
    def everybody_is_seen_alike(self) -> None:
        assert [self.tracker.get(user_id) for user_id in EVERYBODY] == [
            self.model.get(user_id) for user_id in EVERYBODY
        ]

    @invariant()
    def the_deadline_is_never_late(self) -> None:
        expected = self.model.next_change(self.now)
        deadline = self.tracker.next_deadline()

        assert expected is None or (deadline is not None and deadline <= expected)

    def _feed(self, event: Event, late: bool) -> None:
        if not late:
            self._pass_to(self.now)
        if isinstance(event, DeviceEvent):
            self.spoke_last = (event.user_id, event.device_id)
        self._compare(self.tracker.feed(event, self.now), self.model.feed(event, self.now))

    def _pass_to(self, instant: int) -> None:
        self.now = Timestamp(max(self.now, instant))
        self._compare(self.tracker.expire(self.now), self.model.expire(self.now))
        deadline = self.tracker.next_deadline()

        assert deadline is None or deadline > self.now
        assert self.tracker.expire(self.now) == []

    def _compare(self, changes: list[Change], expected: list[Change]) -> None:
        for change in changes:
            user_id = UserId(change.new.user_id)
            self.disk[user_id] = self._known(user_id)

        assert by_user(changes) == by_user(expected)

    def _known(self, user_id: UserId) -> TrackedUser:
        user = self.tracker.user(user_id)
        assert user is not None
        return user

    def _current(self) -> dict[UserId, TrackedUser]:
        known = [UserId(state.user_id) for state in self.tracker.known()]
        return {u: self._known(u) for u in known if self._known(u).state != _nothing(u)}

    def _saved(self) -> dict[UserId, TrackedUser]:
        return {u: user for u, user in self.disk.items() if user.state != _nothing(u)}


def _nothing(user_id: UserId) -> UserPresenceState:
    return UserPresenceState.default(user_id)


def test_the_tracker_does_what_the_obvious_model_does() -> None:
    """The tracker and the reference model agree after any events in any order."""
    run_state_machine_as_test(
        Comparison,
        settings=settings(
            max_examples=10 * EXAMPLES,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
