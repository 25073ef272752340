"""What holds for all tests: nothing in them depends on how fast the machine is."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "lamplighter",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # Whoever works on the code gets new examples each time; a gate judges by the same ones.
    derandomize="CI" in os.environ,
)
settings.load_profile("lamplighter")
