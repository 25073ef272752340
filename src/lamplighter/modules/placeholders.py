"""Turns the parameters that modules write, `?` or `:name`, into those of psycopg."""

import re
from functools import lru_cache
from typing import Final

__all__ = ["for_psycopg"]

#: What no parameter is in, a parameter, or a percent sign, which means something to psycopg.
_TOKEN: Final = re.compile(
    r"""
    (?<![\w$]) [eE] ' [^'\\]* (?: (?:''|\\.) [^'\\]* )* '    # a string with escapes
    | ' [^']* (?: '' [^']* )* '                              # a string
    | " [^"]* (?: "" [^"]* )* "                              # a name
    | -- [^\n]* | /\* .*? \*/                                # comments
    | (?<![\w$]) \$ (?P<tag> (?: [^\W\d]\w* )? ) \$ .*? \$ (?P=tag) \$  # a string between dollars
    | ::                                                     # a cast
    | (?P<mark> \? )
    | : (?P<name> [^\W\d]\w* )
    | %
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=1000)
def for_psycopg(sql: str, *, named: bool) -> str:
    """Return *sql* with its parameters as psycopg takes them.

    They are written `:name` if *named*, else `?`. Neither is one within a string, a quoted name or
    a comment.
    """

    def replaced(found: re.Match[str]) -> str:
        if named and found["name"]:
            return f"%({found['name']})s"
        if not named and found["mark"]:
            return "%s"
        return found[0].replace("%", "%%")

    return _TOKEN.sub(replaced, sql)
