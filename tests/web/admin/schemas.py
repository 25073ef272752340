"""A small checker of values against the JSON schemas of the admin API.

It knows the keywords in these schemas, and refuses any other.
"""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["check"]

_KNOWN: Final = frozenset(
    {"$ref", "anyOf", "type", "properties", "required", "items", "additionalProperties"}
    | {"title", "description", "default", "minimum", "maximum", "examples"}
)
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def check(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], at: str = "$") -> None:
    """Raise `AssertionError` if *value* does not fit *schema*; *schemas* are all, by name."""
    assert set(schema) <= _KNOWN, f"{at}: a schema with {set(schema) - _KNOWN}"
    if "$ref" in schema:
        check(value, schemas[schema["$ref"].rpartition("/")[2]], schemas, at)
    elif "anyOf" in schema:
        assert any(_fits(value, each, schemas) for each in schema["anyOf"]), f"{at}: {value!r}"
    else:
        _check_type(value, schema, at)
        _check_parts(value, schema, schemas, at)


def _check_type(value: Any, schema: Mapping[str, Any], at: str) -> None:
    kind = schema["type"]
    is_it = isinstance(value, _TYPES[kind]) and (kind == "boolean") == isinstance(value, bool)
    assert is_it, f"{at}: {value!r} is no {kind}"


def _check_parts(
    value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], at: str
) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            check(item, schema["items"], schemas, f"{at}[{index}]")
    if isinstance(value, dict) and "properties" in schema:
        assert set(value) == set(schema["properties"]), f"{at}: {set(value)}"
        assert set(schema.get("required", ())) <= set(value), at
        for name, part in schema["properties"].items():
            check(value[name], part, schemas, f"{at}.{name}")
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        for name, part in value.items():
            check(part, schema["additionalProperties"], schemas, f"{at}.{name}")


def _fits(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> bool:
    try:
        check(value, schema, schemas)
    except AssertionError:
        return False
    return True
