"""What a check finds: typed values, that `--json` prints as they are."""

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
    """What may be wrong with a module, in the order in which a report lists it."""

    PARSE_CONFIG_FAILS = "parse-config-fails"
    CONSTRUCTOR_FAILS = "constructor-fails"
    NOTHING_REGISTERED = "nothing-registered"
    ONE_CALLBACK = "one-callback"
    NOT_ASYNC = "not-async"
    RAISES = "raises"
    WRONG_ANSWER = "wrong-answer"
    #: A None, or a user ID that cannot be: the server takes it for nothing.
    LEFT_OUT = "left-out"
    CHANGES_INPUT = "changes-its-input"
    BLOCKS = "blocks-the-loop"
    NO_ANSWER = "no-answer"
    SLOW = "slow"
    NOT_DETERMINISTIC = "not-deterministic"
    #: Too little of the module was run to say that it is right.
    HARDLY_RUN = "hardly-run"
    #: `get_users_for_states` sends what `get_interested_users` does not name.
    TOLD_NOT_SHOWN = "told-but-not-shown"
    #: `get_interested_users` names whom `get_users_for_states` does not send.
    SHOWN_NOT_TOLD = "shown-but-not-told"
    #: Two modules of a configuration alter the same presence in different ways.
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the sources something is."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of one file was run."""

    file: str
    #: Lines of functions; what runs as a module is imported does not count.
    lines: int
    run: int
    #: The lines never run: `14`, or `20-23`.
    never: Sequence[str]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The smallest world that was found in which the two callbacks do not agree."""

    viewer: str
    user: str
    #: Each changed state that the module was asked about together, as people write it.
    changes: Sequence[str]
    #: Everybody in the world.
    users: Sequence[str]
    admins: Sequence[str]
    #: Each room with its members, as people write it.
    rooms: Sequence[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, as a sentence, and where."""

    kind: Kind
    message: str
    callback: Callback | None = None
    place: Place | None = None
    #: What else helps to understand it, line by line.
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
    """All that a check has found out."""

    #: The dotted path of the module's class.
    module: str
    server_name: str
    #: How many users there were to ask about, and how many of them the module itself names.
    users: int
    named_users: int
    worlds: int
    questions: int
    timings: Sequence[Timing]
    findings: Sequence[Finding]
    #: Whether it was looked at that the two callbacks agree; not where an answer is at fault.
    compared: bool
    #: Methods by which the module registers callbacks of other kinds: they stay in Synapse.
    elsewhere: Sequence[str] = ()
    #: How much of the module's own files was run.
    coverage: Sequence[Covered] = ()
    #: The data files that the module has read, whose people live in the worlds.
    files_read: Sequence[str] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class JointReport:
    """All that a check of several modules has found out."""

    reports: Sequence[Report]
    #: Where two of the modules alter the same presence in different ways.
    conflicts: Sequence[Finding]
    #: Modules of the configuration that are not of presence: nobody has asked them.
    left_out: Sequence[str] = ()
    #: Modules that were asked alone only, since their answers are not sound.
    unsound: Sequence[str] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.conflicts and all(report.is_good for report in self.reports)
