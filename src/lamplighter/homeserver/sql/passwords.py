"""Passwords, hashed with argon2 in threads of their own."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["Passwords"]

#: Passwords that are hashed at a time. A flood of logins takes neither all threads nor all memory.
_AT_A_TIME: Final = 2
#: 19 MiB, two passes: the smallest setting that OWASP's password storage cheat sheet recommends.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class Passwords:
    """Makes hashes of passwords and checks passwords against them."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_A_TIME)

    async def hash(self, password: str) -> str:
        """Return the hash of *password*, to be stored."""
        async with self._turn:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def verify(self, known: str | None, password: str) -> bool:
        """Tell whether *known* is a hash of *password*.

        None, for users without a password and users who do not exist, takes as long.
        """
        async with self._turn:
            if known is None:
                await asyncio.to_thread(_HASHER.hash, password)
                return False
            return await asyncio.to_thread(_verify, known, password)


def _verify(known: str, password: str) -> bool:
    try:
        return _HASHER.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False
