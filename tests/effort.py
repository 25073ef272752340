"""How much random tests try: `make check` tries less than `make test`."""

import os
from typing import Final

__all__ = ["EXAMPLES"]

#: How many random worlds, hours and the like a test goes through.
EXAMPLES: Final = int(os.environ.get("EXAMPLES", "100"))
