"""docs/guides/: each module works as its page says, by the page's own test."""

import json
from pathlib import Path
from typing import Final

import pytest

from tests.docs.commands import ROOT, commands, named_files, typed

__all__ = ["GUIDES"]

GUIDES: Final = sorted(str(it.relative_to(ROOT)) for it in (ROOT / "docs/guides").glob("*.md"))


@pytest.mark.parametrize("page", GUIDES)
def test_a_reader_gets_a_module_that_passes_its_test(page: str, tmp_path: Path) -> None:
    """The module passes the test on its page, and the configuration on its page loads it."""
    for name, content in named_files(page, "python", "yaml").items():
        (tmp_path / name).write_text(content)
    (tmp_path / "chart.json").write_text(json.dumps({"@bob:demo": "@alice:demo"}))
    [test] = commands(page)

    assert " passed" in typed(test, tmp_path).stdout

    checked = typed("PYTHONPATH=. lamplighter check-config -c lamplighter.yaml", tmp_path)
    assert "can be loaded" in checked.stdout
