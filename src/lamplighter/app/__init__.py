"""The one place where the parts are chosen and wired together. Begin at `building.py`."""

from lamplighter.app.building import MOST_TO_STOP, Lamplighter, build, listeners
from lamplighter.app.presence import counting_rooms
from lamplighter.app.storage import Storage

__all__ = ["MOST_TO_STOP", "Lamplighter", "Storage", "build", "counting_rooms", "listeners"]
