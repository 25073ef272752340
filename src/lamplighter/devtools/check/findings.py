"""The findings of a check: typed values, which `--json` prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "Callback",
    "Counterexample",
    "Covered",
    "Finding",
    "JointReport",
    "Kind",
    "Place",
    "Report",
    "Timing",
]


class Callback(StrEnum):
    """The two callbacks of a presence router."""

    STATES = "get_users_for_states"
    INTEREST = "get_interested_users"


class Kind(StrEnum):
    """The kinds of faults of a module, in the order of a report."""

    PARSE_CONFIG_FAILS = "parse-config-fails"
    CONSTRUCTOR_FAILS = "constructor-fails"
    NOTHING_REGISTERED = "nothing-registered"
    ONE_CALLBACK = "one-callback"
    NOT_ASYNC = "not-async"
    RAISES = "raises"
    WRONG_ANSWER = "wrong-answer"
    #: A None, or an impossible user ID: the server ignores it.
    LEFT_OUT = "left-out"
    CHANGES_INPUT = "changes-its-input"
    BLOCKS = "blocks-the-loop"
    NO_ANSWER = "no-answer"
    SLOW = "slow"
    NOT_DETERMINISTIC = "not-deterministic"
    #: The check has run too little of the module to call it right.
    HARDLY_RUN = "hardly-run"
    #: `get_users_for_states` sends a user whom `get_interested_users` does not name.
    TOLD_NOT_SHOWN = "told-but-not-shown"
    #: `get_interested_users` names a user whom `get_users_for_states` does not send.
    SHOWN_NOT_TOLD = "shown-but-not-told"
    #: Two modules of a configuration alter the same presence in different ways.
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the sources."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of one file was run."""

    file: str
    #: Lines of functions; lines that run during the import do not count.
    lines: int
    run: int
    #: The lines that have never run: `14`, or `20-23`.
    never: Sequence[str]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The smallest world found in which the two callbacks disagree."""

    viewer: str
    user: str
    #: The changed states about which the module was asked together, as people write them.
    changes: Sequence[str]
    #: Everybody in the world.
    users: Sequence[str]
    admins: Sequence[str]
    #: Each room with its members, as people write it.
    rooms: Sequence[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, as a sentence, and its place."""

    kind: Kind
    message: str
    callback: Callback | None = None
    place: Place | None = None
    #: More lines that explain the fault.
    details: Sequence[str] = ()
    counterexample: Counterexample | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a callback takes to answer, in milliseconds."""

    callback: Callback
    calls: int
    median_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a check of one module."""

    #: The dotted path of the module's class.
    module: str
    server_name: str
    #: How many users lived in the worlds, and how many of them the module itself names.
    users: int
    named_users: int
    worlds: int
    questions: int
    timings: Sequence[Timing]
    findings: Sequence[Finding]
    #: Whether the two callbacks were compared; they are not if answers are faulty.
    compared: bool
    #: Methods with which the module registers callbacks of other kinds, which stay in Synapse.
    elsewhere: Sequence[str] = ()
    #: How much of the module's own files has run.
    coverage: Sequence[Covered] = ()
    #: The data files that the module has read, whose people live in the worlds.
    files_read: Sequence[str] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class JointReport:
    """The results of a check of several modules."""

    reports: Sequence[Report]
    #: Where two of the modules alter the same presence in different ways.
    conflicts: Sequence[Finding]
    #: Modules of the configuration that are not of presence; they were not asked.
    left_out: Sequence[str] = ()
    #: Modules that were only checked alone, because their answers are not sound.
    unsound: Sequence[str] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.conflicts and all(report.is_good for report in self.reports)
