"""What holds for all tests: nothing in them depends on how fast the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "lamplighter", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lamplighter")
