"""Who may see whom by a module's word: the kept answers of `get_interested_users`.

An answer is kept for a while, because asking at every change would cost a call per viewer; it
remembers since which position each user has been named, because being named gives sight of
people whose last change is older than the viewer's token.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lamplighter.clock import Timestamp
from lamplighter.ids import StreamPosition, UserId
from lamplighter.routing.reasons import AllUsers, Module

__all__ = ["Interest", "ModuleInterests", "NoLongerNamed"]


@dataclass(frozen=True, slots=True)
class Interest:
    """What the modules, together, answered for one viewer."""

    #: Each named user, and the modules that named them.
    named: Mapping[UserId, tuple[Module, ...]]
    #: The modules that let the viewer see all users.
    all_users: tuple[AllUsers, ...] = ()
    #: The modules whose answer was lost, whole or in part: they might have named more.
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NoLongerNamed:
    """Whom the modules have ceased to name for a viewer, as far as their answers say so."""

    users: AbstractSet[UserId]
    #: Whether the viewer might see everybody until now.
    all_users: bool = False
    #: Whether the answer that named them was not in use any more: so it is not known when it ended.
    is_stale: bool = False

    def __bool__(self) -> bool:
        """Tell whether there is anybody."""
        return self.all_users or bool(self.users)


@dataclass(slots=True)
class _Kept:
    interest: Interest
    asked_at: Timestamp
    since: dict[UserId, StreamPosition]
    all_since: StreamPosition | None
    #: Whom modules named until their answers were lost. They are out of sight, but a module that
    #: fails has not said so: what the viewer was told of them stands until it answers.
    unsure: Mapping[UserId, tuple[Module, ...]]
    #: The modules that let the viewer see all users until their answers were lost.
    unsure_all: tuple[AllUsers, ...]

    def named(self) -> Mapping[UserId, tuple[Module, ...]]:
        """Return whom modules named, or had named before their answers were lost."""
        return {**self.unsure, **self.interest.named} if self.unsure else self.interest.named

    def all_users(self) -> tuple[AllUsers, ...]:
        """Return the modules that let the viewer see all users, or did before they were lost."""
        return (*self.unsure_all, *self.interest.all_users)


class ModuleInterests:
    """Viewer to the users that modules name for them, in both directions."""

    def __init__(self) -> None:
        self._kept: dict[UserId, _Kept] = {}
        #: The answers that are forgotten, for their positions: to be named again is no news.
        self._forgotten: dict[UserId, _Kept] = {}
        self._viewers: dict[UserId, set[UserId]] = {}
        self._see_all: dict[UserId, AllUsers] = {}
        #: For whom modules name others than when that was last taken.
        self._changed: set[UserId] = set()

    def keep(
        self, viewer: UserId, interest: Interest, position: StreamPosition, now: Timestamp
    ) -> NoLongerNamed:
        """Replace the viewer's last answer; who was named by it keeps the position of that.

        Return who is not named any more. That a module's answer was lost does not say so.
        """
        is_stale = viewer not in self._kept
        before = self._kept.get(viewer) or self._forgotten.pop(viewer, None)
        missing = before.named().keys() - interest.named.keys() if before else frozenset()
        unsure = {
            user_id: modules
            for user_id, modules in (before.named().items() if before and missing else ())
            if user_id in missing and any(it.name in interest.lost for it in modules)
        }
        saw_all = before.all_users() if before and not interest.all_users else ()
        unsure_all = tuple(it for it in saw_all if it.module in interest.lost)
        earlier = before.since if before else {}
        since = {user_id: earlier.get(user_id, position) for user_id in interest.named}
        all_since = None
        if interest.all_users:
            all_since = before.all_since if before and before.all_since is not None else position
        if before is None or missing or saw_all or len(interest.named) != len(before.named()):
            self._changed.add(viewer)
        self._take_out(viewer)
        self._kept[viewer] = _Kept(interest, now, since, all_since, unsure, unsure_all)
        for user_id in interest.named:
            self._viewers.setdefault(user_id, set()).add(viewer)
        if interest.all_users:
            self._see_all[viewer] = interest.all_users[0]
        ended_all = bool(saw_all) and not unsure_all
        return NoLongerNamed(missing - unsure.keys(), ended_all, is_stale)

    def restore(self, viewer: UserId, interest: Interest) -> None:
        """Take in what was answered for the viewer before a restart; the next one is compared."""
        restored = Timestamp(0)
        self._forgotten[viewer] = _Kept(interest, restored, {}, None, {}, ())

    def last(self, viewer: UserId) -> Interest | None:
        """Return whom modules named in the answer that the next one will be compared with."""
        kept = self._kept.get(viewer) or self._forgotten.get(viewer)
        return Interest(kept.named(), kept.all_users()) if kept else None

    def remembers(self, viewer: UserId) -> bool:
        """Tell whether the viewer's last answer is not in use any more."""
        return viewer in self._forgotten

    def take_changed(self) -> set[UserId]:
        """Return for whom modules name others than when this was last asked."""
        changed, self._changed = self._changed, set()
        return changed

    def forget(self, viewer: UserId) -> None:
        """Forget the viewer's answer; but not since when they have been seeing whom it named."""
        kept = self._take_out(viewer)
        if kept is not None:
            self._forgotten[viewer] = kept

    def clear(self) -> None:
        """Forget all answers and their positions: whoever is named again is named newly.

        Whom they named is remembered, so that each viewer's next answer says who is not any more.
        """
        for viewer in list(self._kept):
            self.forget(viewer)
        for kept in self._forgotten.values():
            kept.since.clear()
            kept.all_since = None

    def _take_out(self, viewer: UserId) -> _Kept | None:
        kept = self._kept.pop(viewer, None)
        if kept is None:
            return None
        self._see_all.pop(viewer, None)
        for user_id in kept.interest.named:
            viewers = self._viewers[user_id]
            viewers.discard(viewer)
            if not viewers:
                del self._viewers[user_id]
        return kept

    def asked_before(self, instant: Timestamp) -> Sequence[UserId]:
        """Return whose answers are from before *instant*."""
        return [viewer for viewer, kept in self._kept.items() if kept.asked_at < instant]

    def asked_at(self, viewer: UserId) -> Timestamp | None:
        """Return when the viewer's answer was given, or None if none is kept."""
        kept = self._kept.get(viewer)
        return kept.asked_at if kept else None

    def oldest(self) -> Timestamp | None:
        """Return when the oldest kept answer was given."""
        return min((kept.asked_at for kept in self._kept.values()), default=None)

    def named_for(self, viewer: UserId) -> AbstractSet[UserId]:
        """Return whom modules name for the viewer."""
        kept = self._kept.get(viewer)
        return kept.interest.named.keys() if kept else frozenset()

    def was_named(self, viewer: UserId, user_id: UserId) -> bool:
        """Tell whether the next answer will be compared with one that named the user."""
        last = self._kept.get(viewer) or self._forgotten.get(viewer)
        return last is not None and (bool(last.all_users()) or user_id in last.named())

    def viewers_of(self, user_id: UserId) -> AbstractSet[UserId]:
        """Return the viewers for whom modules name the user."""
        return self._viewers.get(user_id, frozenset())

    def viewers_of_all(self) -> Mapping[UserId, AllUsers]:
        """Return the viewers who may see everybody, and by which module."""
        return self._see_all

    def reasons(self, viewer: UserId, user_id: UserId) -> tuple[Module, ...]:
        """Return the modules that name the user for the viewer."""
        kept = self._kept.get(viewer)
        return kept.interest.named.get(user_id, ()) if kept else ()

    def lost_for(self, viewer: UserId) -> frozenset[str]:
        """Return the modules whose answer for the viewer was lost, whole or in part."""
        kept = self._kept.get(viewer)
        return kept.interest.lost if kept else frozenset()

    def names_anybody_since(self, viewer: UserId, position: StreamPosition) -> bool:
        """Tell whether the viewer sees anybody by these answers who was not named before."""
        kept = self._kept.get(viewer)
        return kept is not None and position in (kept.all_since, *kept.since.values())

    def named_after(self, viewer: UserId, position: StreamPosition) -> Iterable[UserId]:
        """Return whom the modules have begun to name for the viewer after *position*."""
        kept = self._kept.get(viewer)
        return [it for it, since in kept.since.items() if since > position] if kept else ()

    def all_since(self, viewer: UserId) -> StreamPosition | None:
        """Return since which position the viewer may see everybody, or None."""
        kept = self._kept.get(viewer)
        return kept.all_since if kept else None

    def named_since(self, viewer: UserId, user_id: UserId) -> StreamPosition | None:
        """Return since which position the viewer may see the user by these answers, or None."""
        kept = self._kept.get(viewer)
        if kept is None:
            return None
        positions = (kept.since.get(user_id), kept.all_since)
        return min((position for position in positions if position is not None), default=None)
