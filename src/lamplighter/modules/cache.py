"""`@cached()`: async methods of modules that remember their answers."""

import asyncio
import functools
import inspect
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["CachedFunction", "CachedMethod", "cached"]

R = TypeVar("R")
Key = tuple[Any, ...]


def cached(
    *,
    max_entries: int = 1000,
    num_args: int | None = None,
    uncached_args: Collection[str] | None = None,
) -> "Callable[[Callable[..., Awaitable[R]]], CachedMethod[R]]":
    """Let an async method or function remember its *max_entries* most recently used answers.

    Answers are told apart by all arguments, or by the first *num_args*, or by all but
    *uncached_args*. Each object of a class has a memory of its own. Callers who ask for the same
    thing at the same time share one call; what raises is not remembered. The decorated function
    has `invalidate((argument, ...))`, `invalidate_all()` and `prefill((argument, ...), answer)`.
    """
    if num_args is not None and uncached_args is not None:
        raise ValueError("cached() takes num_args or uncached_args, not both")

    def decorate(func: Callable[..., Awaitable[R]]) -> CachedMethod[R]:
        return CachedMethod(func, max_entries, num_args, frozenset(uncached_args or ()))

    return decorate


class CachedFunction(Generic[R]):
    """A function with its memory; for a method, that of one object."""

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
        self._answers: OrderedDict[Key, R] = OrderedDict()
        self._asked: dict[Key, asyncio.Future[R]] = {}

    async def __call__(self, *args: Any, **kwargs: Any) -> R:
        key = self._key(*args, **kwargs)
        if key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key]
        if key not in self._asked:
            self._asked[key] = asyncio.ensure_future(self._ask(key, args, kwargs))
        # One caller who gives up must not take the answer from the others.
        return await asyncio.shield(self._asked[key])

    def invalidate(self, key: Key) -> None:
        """Forget one answer, one that is still to come included."""
        self._answers.pop(tuple(key), None)
        self._asked.pop(tuple(key), None)

    def invalidate_all(self) -> None:
        """Forget all answers."""
        self._answers.clear()
        self._asked.clear()

    def prefill(self, key: Key, value: R) -> None:
        """Know the answer beforehand."""
        self._answers[tuple(key)] = value
        self._answers.move_to_end(tuple(key))
        while len(self._answers) > self._max_entries:
            self._answers.popitem(last=False)

    async def _ask(self, key: Key, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        me = asyncio.current_task()
        try:
            answer = await self._func(*args, **kwargs)
            if self._asked.get(key) is me:
                self.prefill(key, answer)
            return answer
        finally:
            if self._asked.get(key) is me:
                del self._asked[key]

    def _key(self, *args: Any, **kwargs: Any) -> Key:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        named = [v for k, v in bound.arguments.items() if k not in self._uncached_args]
        return tuple(named[: self._num_args])


class CachedMethod(CachedFunction[R]):
    """What stands in the class; each object gets a `CachedFunction` at first use."""

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
        # From now on the object's own attribute is found before this one.
        instance.__dict__[self._name] = bound
        return bound
