"""Where the commands look for modules: in the current folder and its `src`, after Python's path."""

import sys
from pathlib import Path

__all__ = ["import_from_here"]


def import_from_here() -> None:
    """Let modules be imported from the current folder and its `src`.

    What is installed, or on `PYTHONPATH`, comes first: nothing that lies about in a folder takes
    the place of what an operator has installed.
    """
    for folder in (Path("src"), Path()):
        path = str(folder.absolute())
        if folder.is_dir() and path not in sys.path:
            sys.path.append(path)
