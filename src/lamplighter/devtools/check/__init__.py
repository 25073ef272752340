"""`lamplighter module check`: a module asked in many small worlds, and what is wrong with it.

    assert check_module(OnCall, {"on_call": ["@bob:demo"]}).findings == ()

`checking.py` is the whole of it in one place. `population.py` finds the people, `worlds.py` puts
them into worlds, `simulation.py` runs the module in one, `asking.py` asks it and notes what is
wrong, `complement.py` compares the two callbacks, and `shrinking.py` makes a counterexample small.
`together.py` asks several modules about the same worlds.
"""

from lamplighter.devtools.check.checking import Limits, check_module, check_subject, check_together
from lamplighter.devtools.check.findings import Callback, Finding, JointReport, Kind, Place, Report
from lamplighter.devtools.check.loading import Subject, subject_in_file, subjects_in_file

__all__ = [
    "Callback",
    "Finding",
    "JointReport",
    "Kind",
    "Limits",
    "Place",
    "Report",
    "Subject",
    "check_module",
    "check_subject",
    "check_together",
    "subject_in_file",
    "subjects_in_file",
]
