"""What a table holds, before anything is learnt from it.

`profile(data, target)` gives a Profile: figures of every column, what is wrong with them, and the step of a recipe that
would mend each. Printed, it is a summary; `save_html` writes a report.
"""

from clary.data.profiling.figures import ColumnFigures, Finding, Severity, Target
from clary.data.profiling.make import profile
from clary.data.profiling.profile import Profile

__all__ = ["ColumnFigures", "Finding", "Profile", "Severity", "Target", "profile"]
