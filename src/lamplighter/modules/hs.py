"""`api._hs`: the few names of Synapse's internals that published modules use."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from lamplighter.clock import sleep
from lamplighter.modules.background import BackgroundWork, Label, resolved
from lamplighter.modules.calls import DelayedCall, LoopingCall, duration_of, name_of
from lamplighter.modules.hints import missing_attribute, server_hint
from lamplighter.modules.host import ServerFacts

__all__ = ["HomeServer", "ModuleClock"]

_MILLISECOND: Final = timedelta(milliseconds=1)
_SECOND: Final = timedelta(seconds=1)

Function = Callable[..., object]
#: A number, or a timedelta (Synapse's `Duration` is one).
Duration = float | timedelta


class ModuleClock:
    """The server's clock, as `_hs.get_clock()` returns it."""

    def __init__(self, module: str, background: BackgroundWork) -> None:
        self._module = module
        self._background = background

    def time(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._background.clock.now() / 1000

    def time_msec(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return int(self._background.clock.now())

    async def sleep(self, seconds: Duration) -> None:
        """Return after *seconds*."""
        await sleep(self._background.clock, duration_of(seconds, _SECOND))

    def looping_call(self, f: Function, msec: Duration, *args: Any, **kwargs: Any) -> LoopingCall:
        """Call *f*, which may be async, every *msec*, the first time *msec* from now."""
        period = duration_of(msec, _MILLISECOND)
        return LoopingCall(
            self._background, self._label(f), lambda: resolved(f(*args, **kwargs)), period
        )

    def looping_call_now(
        self, f: Function, msec: Duration, *args: Any, **kwargs: Any
    ) -> LoopingCall:
        """Call *f*, which may be async, now, and every *msec*."""
        period = duration_of(msec, _MILLISECOND)
        return LoopingCall(
            self._background, self._label(f), lambda: resolved(f(*args, **kwargs)), period, now=True
        )

    def call_later(self, delay: Duration, callback: Function, *args: Any, **kw: Any) -> DelayedCall:
        """Call *callback*, which may be async, in *delay* seconds."""
        wait = duration_of(delay, _SECOND)
        return DelayedCall(
            self._background, self._label(callback), lambda: resolved(callback(*args, **kw)), wait
        )

    def cancel_call_later(self, timer: DelayedCall) -> None:
        """Cancel a call of `call_later`."""
        timer.cancel()

    def _label(self, f: Function) -> Label:
        return Label(self._module, name_of(f))


class _Guarded:
    """Raises an error for missing names, which tells what to use instead."""

    _owner = "_hs"

    def __init__(self, module: str) -> None:
        self._module = module

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            raise missing_attribute(self._owner, name, self._module, server_hint(name))


class _WorkerConfig(_Guarded):
    """`_hs.config.worker`: this server has no workers, but it may have nodes."""

    _owner = "_hs.config.worker"
    worker_app: None = None

    def __init__(self, module: str, node: str | None) -> None:
        super().__init__(module)
        self.worker_name = node


class _Config(_Guarded):
    """`_hs.config`."""

    _owner = "_hs.config"
    worker_app: None = None

    def __init__(self, module: str, node: str | None) -> None:
        super().__init__(module)
        self.worker_name = node
        self.worker = _WorkerConfig(module, node)


class HomeServer(_Guarded):
    """`api._hs`: `hostname`, `config` with `worker_app` and `worker_name`, and the clock.

    Other names raise an error that tells what to use instead.
    """

    def __init__(self, module: str, server: ServerFacts, background: BackgroundWork) -> None:
        super().__init__(module)
        #: The server name.
        self.hostname: str = server.server_name
        self.config = _Config(module, server.node.name)
        self._module_clock = ModuleClock(module, background)

    def get_clock(self) -> ModuleClock:
        """Return the server's clock."""
        return self._module_clock
