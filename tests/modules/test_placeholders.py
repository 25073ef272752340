"""Parameters of modules, as psycopg takes them."""

import pytest

from lamplighter.modules.placeholders import for_psycopg


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a = ? AND b=?", "a = %s AND b=%s"),
        ("a LIKE '%x' AND b % 2 = ?", "a LIKE '%%x' AND b %% 2 = %s"),
        ("'a?' || 'it''s ?' || ?", "'a?' || 'it''s ?' || %s"),
        (r"E'\'?' || e'?''?' || type'?' || ?", r"E'\'?' || e'?''?' || type'?' || %s"),
        (r"'\' || ?", r"'\' || %s"),
        ('"a""?" = ?', '"a""?" = %s'),
        ("? -- ?\n, ? /* ? \n ? */, ?", "%s -- ?\n, %s /* ? \n ? */, %s"),
        ("$$ ? $$, $a$ ? $$ ? $a$, ?", "$$ ? $$, $a$ ? $$ ? $a$, %s"),
        ("?::text, :name", "%s::text, :name"),
        ("a$b$?$b$", "a$b$%s$b$"),
    ],
)
def test_question_marks(sql: str, expected: str) -> None:
    """A question mark is a parameter, unless it is in a string, a name or a comment."""
    assert for_psycopg(sql, named=False) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (":a, :b_2 , :a", "%(a)s, %(b_2)s , %(a)s"),
        ("':a', :a::text, x[1:2], ?", "':a', %(a)s::text, x[1:2], ?"),
    ],
)
def test_names(sql: str, expected: str) -> None:
    """A name after a colon is a parameter if parameters have names; casts and slices are none."""
    assert for_psycopg(sql, named=True) == expected
