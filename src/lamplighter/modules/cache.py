"""`@cached()`: a cache for the answers of modules' async methods."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Generic, Self, TypeVar, overload

from lamplighter.recent import Recent

__all__ = ["CachedFunction", "CachedMethod", "cached"]

R = TypeVar("R")
Key = tuple[Any, ...]


def cached(
    *,
    max_entries: int = 1000,
    num_args: int | None = None,
    uncached_args: Collection[str] | None = None,
) -> "Callable[[Callable[..., Awaitable[R]]], CachedMethod[R]]":
    """Cache the *max_entries* most recently used answers of an async method or function.

    The key of an answer is made of all arguments, or of the first *num_args*, or of all but
    *uncached_args*. Each object of a class has its own cache. Calls with the same key at the same
    time share one call of the function; exceptions are not cached. The decorated function has
    `invalidate((argument, ...))`, `invalidate_all()` and `prefill((argument, ...), answer)`.
    """
    if num_args is not None and uncached_args is not None:
        raise ValueError("cached() takes num_args or uncached_args, not both")

    def decorate(func: Callable[..., Awaitable[R]]) -> CachedMethod[R]:
        return CachedMethod(func, max_entries, num_args, frozenset(uncached_args or ()))

    return decorate


class CachedFunction(Generic[R]):
    """A function with its cache; for a method, the cache of one object."""

    def __init__(
        self,
        func: Callable[..., Awaitable[R]],
        max_entries: int,
        num_args: int | None,
        uncached_args: Collection[str],
    ) -> None:
        functools.update_wrapper(self, func)
        self._func = func
        self._signature = inspect.signature(func)
        self._max_entries = max_entries
        self._num_args = num_args
        self._uncached_args = uncached_args
        #: Each in a tuple, because an answer may be None.
        self._answers: Recent[Key, tuple[R]] = Recent(max_entries)
        #: The calls that have not ended.
        self._running: dict[Key, asyncio.Future[R]] = {}

    async def __call__(self, *args: Any, **kwargs: Any) -> R:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        named = [v for k, v in bound.arguments.items() if k not in self._uncached_args]
        key = tuple(named[: self._num_args])
        cached = self._answers.get(key)
        if cached is not None:
            return cached[0]
        if key not in self._running:
            self._running[key] = asyncio.ensure_future(self._run(key, args, kwargs))
        # The cancellation of one caller must not cancel the call for the others.
        return await asyncio.shield(self._running[key])

    def invalidate(self, key: Key) -> None:
        """Remove one answer, and do not cache the answer of a running call."""
        self._answers.drop(tuple(key))
        self._running.pop(tuple(key), None)

    def invalidate_all(self) -> None:
        """Remove all answers."""
        self._answers.clear()
        self._running.clear()

    def prefill(self, key: Key, value: R) -> None:
        """Add an answer to the cache."""
        self._answers.put(tuple(key), (value,))

    async def _run(self, key: Key, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        me = asyncio.current_task()
        try:
            answer = await self._func(*args, **kwargs)
            if self._running.get(key) is me:
                self.prefill(key, answer)
            return answer
        finally:
            if self._running.get(key) is me:
                del self._running[key]


class CachedMethod(CachedFunction[R]):
    """The attribute of the class; each object gets its own `CachedFunction` at the first use."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> CachedFunction[R]: ...
    def __get__(self, instance: object | None, owner: type) -> "Self | CachedFunction[R]":
        if instance is None:
            return self
        bound = CachedFunction(
            self._func.__get__(instance, owner),  # a method, without `self` in its signature
            self._max_entries,
            self._num_args,
            self._uncached_args,
        )
        # From now on Python finds the object's attribute before the one of the class.
        instance.__dict__[self._name] = bound
        return bound
