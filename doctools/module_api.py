"""The reference in docs/module-api.md, from the docstrings of the module API."""

from collections.abc import Iterator
from importlib.util import module_from_spec
from typing import Final

from doctools.members import constants, describe, fields, methods, table
from lamplighter.modules.account_part import AccountDataManager, AccountPart
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.background import Job
from lamplighter.modules.background_part import BackgroundPart
from lamplighter.modules.cache import cached
from lamplighter.modules.calls import DelayedCall, LoopingCall
from lamplighter.modules.hs import HomeServer, ModuleClock
from lamplighter.modules.http_client import SimpleHttpClient
from lamplighter.modules.other_callbacks import OtherCallbacksPart
from lamplighter.modules.presence_part import PresencePart
from lamplighter.modules.room_part import RoomPart
from lamplighter.modules.storage import ModuleTransaction
from lamplighter.modules.synapse import constants as words
from lamplighter.modules.synapse import errors, types
from lamplighter.modules.synapse_paths import SynapsePaths
from lamplighter.presence.state import UserPresenceState

__all__ = ["module_api_reference"]

_PARTS: Final[dict[str, type]] = {
    "Presence": PresencePart,
    "The server": ModuleApi,
    "People": AccountPart,
    "Rooms": RoomPart,
    "Background work": BackgroundPart,
    "Callbacks of other kinds": OtherCallbacksPart,
}
_RESULTS: Final[tuple[type, ...]] = (
    AccountDataManager,
    SimpleHttpClient,
    ModuleTransaction,
    Job,
    DelayedCall,
    LoopingCall,
    HomeServer,
    ModuleClock,
)
_VALUES: Final[tuple[type, ...]] = (
    types.DomainSpecificString,
    types.UserID,
    types.RoomAlias,
    types.RoomID,
    types.UserInfo,
    types.ProfileInfo,
    types.Requester,
    types.EventBase,
)
_WORDS: Final[tuple[type, ...]] = (
    words.PresenceState,
    words.Membership,
    words.EventTypes,
    words.EduTypes,
    words.JoinRules,
    words.AccountDataTypes,
    errors.Codes,
)


def module_api_reference() -> str:
    """Return the generated part of the page."""
    return "\n\n".join(part.strip() for part in _sections()) + "\n"


def _sections() -> Iterator[str]:
    for title, part in _PARTS.items():
        yield f"## {title}"
        yield methods(part, level=3)
    yield "### cached"
    yield describe(cached)
    yield "## UserPresenceState"
    yield _class(UserPresenceState, level=3)
    yield "## What the API returns"
    for kind in _RESULTS:
        yield f"### {'_hs' if kind is HomeServer else kind.__name__}\n\n{_class(kind, level=4)}"
    yield "## Values"
    for kind in _VALUES:
        yield f"### {kind.__name__}\n\n{_class(kind, level=4)}"
    yield "## Words"
    for kind in _WORDS:
        yield f"### {kind.__name__}\n\n{describe(kind)}\n\n{constants(kind)}"
    yield "## Exceptions"
    yield _exceptions()
    yield "## Import paths"
    yield (
        "Served where no real Synapse is installed. What else is imported from `synapse`, or "
        "looked for in the API, raises an error that says what to use instead."
    )
    served = [(f"`{path}`", names) for path in SynapsePaths().paths if (names := _names(path))]
    yield table(("path", "names"), served)


def _class(kind: type, *, level: int) -> str:
    return "\n\n".join(
        part for part in (describe(kind), fields(kind), methods(kind, level=level)) if part
    )


def _exceptions() -> str:
    kinds = [
        it for it in vars(errors).values() if isinstance(it, type) and issubclass(it, Exception)
    ]
    bases = {kind: kind.__mro__[1].__name__ for kind in kinds}
    rows = [
        (f"`{kind.__name__}({bases[kind]})`", describe(kind).replace("\n", " ")) for kind in kinds
    ]
    return table(("exception", "meaning"), rows)


def _names(path: str) -> str:
    finder = SynapsePaths()
    spec = finder.find_spec(path, None)
    assert spec is not None
    module = module_from_spec(spec)
    finder.exec_module(module)
    return ", ".join(f"`{name}`" for name in module.__all__)
