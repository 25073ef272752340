"""The faults of `make chaos`: their order is random, and their kinds are not."""

from itertools import islice
from random import Random  # noqa: TID251 - seeded: the same faults in the same order

from tests.chaos.cluster import FAULTS, faults


def test_each_kind_comes_first() -> None:
    """A run begins with one fault of each kind, then come all faults, as often as they are listed;
    another seed gives another order.
    """
    kinds = {*FAULTS}
    one, other = (list(islice(faults(Random(it)), len(kinds) + len(FAULTS))) for it in (1, 2))
    assert sorted(one[: len(kinds)]) == sorted(kinds)
    assert sorted(one[len(kinds) :]) == sorted(FAULTS)
    assert one != other
