"""No code block of the documents escapes: each is run, loaded or compared with what it shows."""

import pytest

from lamplighter.modules import synapse_paths
from tests.docs.command_lines import check_command
from tests.docs.fences import HANDLERS, Fence, all_fences


@pytest.mark.parametrize("fence", list(all_fences()), ids=str)
def test_every_block_is_true(fence: Fence) -> None:
    """A block has a language with a handler, and passes what that checks."""
    synapse_paths.install()
    assert fence.language in HANDLERS, "no test knows what to do with this block"

    HANDLERS[fence.language](fence)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("lamplighter server -c lamplighter.yaml", "no command server"),
        ("lamplighter serve --configuration lamplighter.yaml", "No such option"),
        ("lamplighter keys forget", "no command forget"),
        ("echo secret | lamplighter register-user --colour red alice", "No such option"),
        ("make coffee", "no such target"),
        ("python -m lamplighter_bench", "no module lamplighter_bench"),
        ("python3 setup.py install", "give a module"),
        ("frobnicate --all", "frobnicate"),
    ],
)
def test_what_cannot_be_typed(line: str, complaint: str) -> None:
    """A command, an option, a target, a module or a program that is not there is found."""
    with pytest.raises(Exception, match=complaint):
        check_command(line)


@pytest.mark.parametrize(
    "line",
    [
        "PYTHONPATH=. lamplighter serve -c lamplighter.yaml",
        "sudo -u lamplighter /usr/local/lib/lamplighter/bin/lamplighter check-config -c my.yaml",
        "make tests TESTS=tests/docs && make docs",
        "lamplighter generate-config --server-name example.org > lamplighter.yaml",
        "lamplighter --help",
    ],
)
def test_what_can_be_typed(line: str) -> None:
    """Variables, another user, paths, pipes and redirections are seen through."""
    check_command(line)
