"""Which users the modules name for which viewers: the cached answers of `get_interested_users`.

Asking the modules at every change would take a call per viewer, so each viewer's answer is cached
for a while. The cache also knows what an answer changes, in three ways.

Positions. A user whom an answer names for the first time becomes visible to the viewer, although
the user's last change may be older than the viewer's since token. So the cache has, for each named
user, the stream position since which the answers have named the user without a break.

Forgotten answers. `forget` takes an answer out of use before its time. It stays there to be
compared with the next answer: users whom that names again keep their positions, and users whom it
does not name are not visible any more (`NoLongerNamed`), which the viewer is to learn.

Lost answers. If a module fails, the users whom it named before are not visible. But the module has
not said that it names them no longer, so they are *unconfirmed* until the module answers again.

For example, module One names Bob for Alice, and module Two names Carol. The next time, One raises
an exception and Two returns an empty set. Carol is no longer named, and Alice gets `offline` for
her. Bob is unconfirmed: Alice gets nothing about him until One answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from lamplighter.clock import Timestamp
from lamplighter.ids import StreamPosition, UserId
from lamplighter.routing.reasons import AllUsers, Module

__all__ = ["Interest", "ModuleInterests", "NoLongerNamed"]


@dataclass(frozen=True, slots=True)
class Interest:
    """The answer of all modules together for one viewer."""

    #: Each named user, with the modules that named the user.
    named: Mapping[UserId, tuple[Module, ...]]
    #: The modules that let the viewer see all users.
    all_users: tuple[AllUsers, ...] = ()
    #: The modules whose answers were lost, as a whole or in part: they may name more users.
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NoLongerNamed:
    """The users whom the modules named for a viewer before, and do not name any more."""

    users: AbstractSet[UserId]
    #: Whether the viewer saw all users until now.
    all_users: bool = False
    #: Whether the answer before was a forgotten one: nobody knows since when it is out of date.
    is_stale: bool = False

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return self.all_users or bool(self.users)


@dataclass(slots=True)
class _Cached:
    interest: Interest
    asked_at: Timestamp
    since: dict[UserId, StreamPosition]
    all_since: StreamPosition | None
    #: The users whom modules named until their answers were lost.
    unconfirmed: Mapping[UserId, tuple[Module, ...]]
    #: The modules that let the viewer see all users until their answers were lost.
    unconfirmed_all: tuple[AllUsers, ...]

    def named(self) -> Mapping[UserId, tuple[Module, ...]]:
        """Return the named users, unconfirmed ones included."""
        named = self.interest.named
        return {**self.unconfirmed, **named} if self.unconfirmed else named

    def all_users(self) -> tuple[AllUsers, ...]:
        """Return the modules that let the viewer see all users, unconfirmed ones included."""
        return (*self.unconfirmed_all, *self.interest.all_users)


@dataclass(frozen=True, slots=True)
class _Missing:
    """Whom an answer named, and a later one does not: no longer named, or unconfirmed."""

    ended: AbstractSet[UserId]
    ended_all: bool
    unconfirmed: Mapping[UserId, tuple[Module, ...]]
    unconfirmed_all: tuple[AllUsers, ...]

    @property
    def is_any(self) -> bool:
        """Whether there is any difference."""
        return bool(self.ended or self.ended_all or self.unconfirmed or self.unconfirmed_all)


_NOBODY: Final = Interest({})


def _missing(before: Interest, now: Interest) -> _Missing:
    """Compare two answers; where the later one was lost, the earlier one is unconfirmed."""
    missing = before.named.keys() - now.named.keys()
    unconfirmed = {
        user_id: modules
        for user_id, modules in (before.named.items() if missing else ())
        if user_id in missing and any(it.name in now.lost for it in modules)
    }
    saw_all = () if now.all_users else before.all_users
    unconfirmed_all = tuple(it for it in saw_all if it.module in now.lost)
    ended_all = bool(saw_all) and not unconfirmed_all
    return _Missing(missing - unconfirmed.keys(), ended_all, unconfirmed, unconfirmed_all)


class ModuleInterests:
    """Viewer to the users whom modules name for the viewer, in both directions."""

    def __init__(self) -> None:
        self._cached: dict[UserId, _Cached] = {}
        #: Answers out of use, for comparison with the next ones.
        self._forgotten: dict[UserId, _Cached] = {}
        self._viewers: dict[UserId, set[UserId]] = {}
        self._see_all: dict[UserId, AllUsers] = {}
        #: The viewers with other named users since the last `take_changed`.
        self._changed: set[UserId] = set()

    def cache(
        self, viewer: UserId, interest: Interest, position: StreamPosition, now: Timestamp
    ) -> NoLongerNamed:
        """Replace the viewer's answer; return the users who are not named any more."""
        is_stale = viewer not in self._cached
        before = self._cached.get(viewer) or self._forgotten.pop(viewer, None)
        last = Interest(before.named(), before.all_users()) if before else _NOBODY
        missing = _missing(last, interest)
        earlier = before.since if before else {}
        since = {user_id: earlier.get(user_id, position) for user_id in interest.named}
        all_since = None
        if interest.all_users:
            all_since = before.all_since if before and before.all_since is not None else position
        is_other = missing.is_any or len(interest.named) != len(last.named)
        if before is None or is_other:
            self._changed.add(viewer)
        self._take_out(viewer)
        self._cached[viewer] = _Cached(
            interest, now, since, all_since, missing.unconfirmed, missing.unconfirmed_all
        )
        for user_id in interest.named:
            self._viewers.setdefault(user_id, set()).add(viewer)
        if interest.all_users:
            self._see_all[viewer] = interest.all_users[0]
        return NoLongerNamed(missing.ended, missing.ended_all, is_stale)

    def restore(self, viewer: UserId, interest: Interest) -> NoLongerNamed:
        """Compare an answer from before a restart, or of another node, with the one in use.

        Where none is, it adds to the forgotten one, with which the next is compared.
        """
        if (cached := self._cached.get(viewer)) is not None:
            return self._compare(cached, interest)
        nothing = _Cached(Interest({}), Timestamp(0), {}, None, {}, ())
        forgotten = self._forgotten.setdefault(viewer, nothing)
        before = forgotten.interest
        all_users = dict.fromkeys((*before.all_users, *interest.all_users))
        named = {**interest.named, **before.named}
        forgotten.interest = Interest(named, tuple(all_users), before.lost)
        return NoLongerNamed(frozenset())

    def _compare(self, cached: _Cached, other: Interest) -> NoLongerNamed:
        """Return whom *other* names, and the answer in use does not; lost answers end nothing."""
        all_users = () if cached.all_users() else other.all_users
        missing = _missing(Interest(other.named, all_users), cached.interest)
        cached.unconfirmed = {**missing.unconfirmed, **cached.unconfirmed}
        cached.unconfirmed_all = (*cached.unconfirmed_all, *missing.unconfirmed_all)
        return NoLongerNamed(missing.ended, missing.ended_all, is_stale=True)

    def last(self, viewer: UserId) -> Interest | None:
        """Return the answer with which the next one will be compared."""
        last = self._cached.get(viewer) or self._forgotten.get(viewer)
        return Interest(last.named(), last.all_users()) if last else None

    def remembers(self, viewer: UserId) -> bool:
        """Tell whether the viewer's last answer is a forgotten one."""
        return viewer in self._forgotten

    def take_changed(self) -> set[UserId]:
        """Return the viewers with other named users since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def forget(self, viewer: UserId) -> None:
        """Take the viewer's answer out of use."""
        cached = self._take_out(viewer)
        if cached is not None:
            self._forgotten[viewer] = cached

    def clear(self) -> None:
        """Forget all answers with their positions: users who are named again become visible anew.

        The named users stay there for comparison with each viewer's next answer.
        """
        for viewer in list(self._cached):
            self.forget(viewer)
        for forgotten in self._forgotten.values():
            forgotten.since.clear()
            forgotten.all_since = None

    def _take_out(self, viewer: UserId) -> _Cached | None:
        cached = self._cached.pop(viewer, None)
        if cached is None:
            return None
        self._see_all.pop(viewer, None)
        for user_id in cached.interest.named:
            viewers = self._viewers[user_id]
            viewers.discard(viewer)
            if not viewers:
                del self._viewers[user_id]
        return cached

    def asked_before(self, instant: Timestamp) -> Sequence[UserId]:
        """Return the viewers whose answers are from before *instant*."""
        return [viewer for viewer, cached in self._cached.items() if cached.asked_at < instant]

    def asked_at(self, viewer: UserId) -> Timestamp | None:
        """Return when the viewer's answer came; None if none is cached."""
        cached = self._cached.get(viewer)
        return cached.asked_at if cached else None

    def named_for(self, viewer: UserId) -> AbstractSet[UserId]:
        """Return the users whom modules name for the viewer."""
        cached = self._cached.get(viewer)
        return cached.interest.named.keys() if cached else frozenset()

    def was_named(self, viewer: UserId, user_id: UserId) -> bool:
        """Tell whether the answer with which the next one will be compared names the user."""
        last = self._cached.get(viewer) or self._forgotten.get(viewer)
        return last is not None and (bool(last.all_users()) or user_id in last.named())

    def viewers_of(self, user_id: UserId) -> AbstractSet[UserId]:
        """Return the viewers for whom modules name the user."""
        return self._viewers.get(user_id, frozenset())

    def viewers_of_all(self) -> Mapping[UserId, AllUsers]:
        """Return the viewers who may see all users, each with the module that lets them."""
        return self._see_all

    def reasons(self, viewer: UserId, user_id: UserId) -> tuple[Module, ...]:
        """Return the modules that name the user for the viewer."""
        cached = self._cached.get(viewer)
        return cached.interest.named.get(user_id, ()) if cached else ()

    def lost_for(self, viewer: UserId) -> frozenset[str]:
        """Return the modules whose answers for the viewer were lost, as a whole or in part."""
        cached = self._cached.get(viewer)
        return cached.interest.lost if cached else frozenset()

    def names_anybody_since(self, viewer: UserId, position: StreamPosition) -> bool:
        """Tell whether the answers name a user since just this position."""
        cached = self._cached.get(viewer)
        return cached is not None and position in (cached.all_since, *cached.since.values())

    def named_after(self, viewer: UserId, position: StreamPosition) -> Iterable[UserId]:
        """Return the users whom modules name for the viewer since after *position*."""
        cached = self._cached.get(viewer)
        return [it for it, since in cached.since.items() if since > position] if cached else ()

    def all_since(self, viewer: UserId) -> StreamPosition | None:
        """Return since which position the viewer may see all users; None if not."""
        cached = self._cached.get(viewer)
        return cached.all_since if cached else None

    def named_since(self, viewer: UserId, user_id: UserId) -> StreamPosition | None:
        """Return since which position the answers let the viewer see the user; None if not."""
        cached = self._cached.get(viewer)
        if cached is None:
            return None
        positions = (cached.since.get(user_id), cached.all_since)
        return min((position for position in positions if position is not None), default=None)
