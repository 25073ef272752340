"""The server's log: structured, and without secrets.

Each event is one line: coloured text on a terminal, JSON elsewhere. Events that libraries log
through the standard library get the same form. The last step before a line is written replaces
access tokens, passwords and Authorization headers, whether our code or a library logged them.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["LogFormat", "remove_secrets", "set_up_logs"]

LogFormat = Literal["auto", "console", "json"]

HIDDEN: Final = "[hidden]"

#: The lowest level at which these libraries may log. Below it they log each step with its data.
_TALKATIVE: Final = {"aiosqlite": logging.WARNING, "alembic": logging.WARNING}

_SECRET_KEYS: Final = re.compile(
    r"(?i)(?:.*[_-])?(?:access_?token|refresh_?token|token|password|passphrase|authorization"
    r"|cookie|secret|signing_?key)"
)
_NAMES: Final = r"(?:access_?token|refresh_?token|login_?token|(?:new_?)?password)"
_SECRETS_IN_TEXT: Final = (
    # a query string or a form: access_token=abc&...
    (re.compile(rf"(?i)\b({_NAMES}=)[^\s&\"'<>,;)}}\]]+"), rf"\1{HIDDEN}"),
    # JSON, or the repr of a dict or a value: "password": "abc", access_token='abc'
    (
        re.compile(rf"""(?i)\b({_NAMES}\\?["']?\s*[:=]\s*\\?(["']))(?:\\.|(?!\2).)*"""),
        rf"\1{HIDDEN}",
    ),
    # an Authorization header, with anything around it
    (re.compile(r"(?i)\b(Bearer|Basic)[ \t]+[^\s\"'<>,;)}\]]+"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b(X-Matrix)[ \t]+[^\r\n]+"), rf"\1 {HIDDEN}"),
)


def set_up_logs(
    level: str = "info", style: LogFormat = "auto", stream: TextIO | None = None
) -> None:
    """Write the log of this process, from *level* upwards, to *stream* or to standard error.

    The style "auto" writes coloured text to a terminal and JSON lines to anything else.
    """
    stream = stream or sys.stderr
    as_text = style == "console" or (style == "auto" and stream.isatty())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared_processors(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                remove_secrets,
                _renderer(as_text=as_text, colors=stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name, least in _TALKATIVE.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    logging.captureWarnings(True)


def remove_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Return *event* with each secret hidden, found by its key or by its form within a text.

    This is a structlog processor. It must come after the one that turns exceptions into text.
    """
    return {key: _clean_item(key, value) for key, value in event.items()}


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderer(*, as_text: bool, colors: bool) -> Processor:
    if as_text:
        return structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.processors.JSONRenderer()


def _clean_item(key: object, value: object) -> object:
    if isinstance(key, str) and _SECRET_KEYS.fullmatch(key) and value is not None:
        return HIDDEN
    return _clean(value)


def _clean(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, Mapping):
        return {_clean(key): _clean_item(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    return _clean_text(repr(value))


def _clean_text(text: str) -> str:
    for pattern, replacement in _SECRETS_IN_TEXT:
        text = pattern.sub(replacement, text)
    return text
