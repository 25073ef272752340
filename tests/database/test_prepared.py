"""Statements in the driver's own words."""

from sqlalchemy import BindParameter, bindparam, literal, or_, select

from lamplighter.database.engine import open_memory
from lamplighter.database.prepared import prepare
from lamplighter.database.tables import rooms


async def test_parameters_by_name() -> None:
    """Each question mark stands for the parameter of its name; literals stand in the SQL."""
    name: BindParameter[str] = bindparam("name", required=False)
    other: BindParameter[str] = bindparam("other", required=False)
    kind = literal("it's", literal_execute=True)
    query = select(kind).where(or_(rooms.c.room_id == name, name == other, other == name))
    database = open_memory()
    prepared = prepare(query, database.dialect)
    assert prepared.sql.count("?") == 5
    assert "'it''s'" in prepared.sql
    assert prepared.values({"name": 1, "other": 2}) == [1, 1, 2, 2, 1]
    await database.close()


async def test_a_prepared_statement_is_understood() -> None:
    """The database takes what was prepared."""
    name: BindParameter[str] = bindparam("name", required=False)
    query = select(literal("yes", literal_execute=True)).where(name == name)
    database = open_memory()
    prepared = prepare(query, database.dialect)
    assert await database.fetch(prepared.sql, prepared.values({"name": "a"})) == [("yes",)]
    await database.close()
