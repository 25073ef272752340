"""`@cached()`."""

import asyncio

import pytest

from lamplighter.modules.cache import cached


class Service:
    """Counts its calls."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.gate = asyncio.Event()
        self.gate.set()

    @cached(max_entries=2)
    async def answer(self, number: int, extra: str = "x") -> str:
        """Answer with the arguments."""
        self.asked.append((number, extra))
        await self.gate.wait()
        if number < 0:
            raise ValueError(number)
        return f"{number}{extra}"

    @cached(num_args=1)
    async def by_first(self, number: int, extra: str) -> str:
        """Answer with the arguments."""
        self.asked.append((number, extra))
        return f"{number}{extra}"

    @cached(uncached_args=["extra"])
    async def but_extra(self, extra: str, number: int) -> str:
        """Answer with the arguments."""
        self.asked.append((extra, number))
        return f"{number}{extra}"


async def test_answers_are_remembered() -> None:
    """Equal arguments, written in any way, are one key."""
    service = Service()
    answers = [
        await service.answer(1),
        await service.answer(1, "x"),
        await service.answer(extra="x", number=1),
        await service.answer(1, extra="y"),
    ]
    assert answers == ["1x", "1x", "1x", "1y"]
    assert service.asked == [(1, "x"), (1, "y")]


async def test_memory_is_bounded() -> None:
    """Beyond max_entries, the least recently used answer is removed."""
    service = Service()
    for number in (1, 2, 1, 3, 1, 2):
        await service.answer(number)
    assert service.asked == [(1, "x"), (2, "x"), (3, "x"), (2, "x")]


async def test_objects_remember_for_themselves() -> None:
    """Two objects of a class have a cache each."""
    first, second = Service(), Service()
    await first.answer(1)
    await second.answer(1)
    assert (first.asked, second.asked) == ([(1, "x")], [(1, "x")])


async def test_exceptions_are_not_remembered() -> None:
    """An exception is not cached."""
    service = Service()
    for _ in range(2):
        with pytest.raises(ValueError):
            await service.answer(-1)
    assert len(service.asked) == 2


async def test_callers_at_the_same_time_share_a_call() -> None:
    """Callers at the same time share one call, and one cancelled caller does not cancel it."""
    service = Service()
    service.gate.clear()
    callers = [asyncio.ensure_future(service.answer(1)) for _ in range(3)]
    await asyncio.wait([callers[0]], timeout=0)
    callers[0].cancel()
    service.gate.set()
    assert await asyncio.gather(*callers[1:]) == ["1x", "1x"]
    assert service.asked == [(1, "x")]


async def test_invalidate() -> None:
    """`invalidate` removes one answer, `invalidate_all` all of them, and `prefill` adds one."""
    service = Service()
    await service.answer(1)
    await service.answer(2)
    service.answer.invalidate((1, "x"))
    await service.answer(2)
    await service.answer(1)
    service.answer.invalidate_all()
    await service.answer(2)
    assert service.asked == [(1, "x"), (2, "x"), (1, "x"), (2, "x")]
    service.answer.prefill((7, "x"), "known")
    assert (await service.answer(7), len(service.asked)) == ("known", 4)


async def test_invalidate_on_the_way() -> None:
    """An answer that is invalidated during its call is returned, but not cached."""
    service = Service()
    service.gate.clear()
    caller = asyncio.ensure_future(service.answer(1))
    await asyncio.wait([caller], timeout=0)
    service.answer.invalidate((1, "x"))
    service.gate.set()
    assert await caller == "1x"
    await service.answer(1)
    assert service.asked == [(1, "x"), (1, "x")]


async def test_some_arguments_only() -> None:
    """The key can be made of the first arguments, or of all but some."""
    service = Service()
    assert [await service.by_first(1, "a"), await service.by_first(1, "b")] == ["1a", "1a"]
    assert [await service.but_extra("a", 1), await service.but_extra("b", 1)] == ["1a", "1a"]
    with pytest.raises(ValueError, match="not both"):
        cached(num_args=1, uncached_args=["x"])


async def test_plain_function() -> None:
    """A function outside a class can be decorated as well."""
    asked: list[int] = []

    @cached()
    async def answer(number: int) -> int:
        asked.append(number)
        return number

    assert [await answer(1), await answer(1)] == [1, 1]
    assert asked == [1]
