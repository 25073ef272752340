"""Where the commands look for modules: Python's path, then the current folder and its `src`."""

import sys
from pathlib import Path

__all__ = ["import_from_here"]


def import_from_here() -> None:
    """Make modules importable from the current folder and its `src`.

    Installed packages and `PYTHONPATH` come first, so that no file in the current folder replaces a
    module that an operator has installed.
    """
    for folder in (Path("src"), Path()):
        path = str(folder.absolute())
        if folder.is_dir() and path not in sys.path:
            sys.path.append(path)
