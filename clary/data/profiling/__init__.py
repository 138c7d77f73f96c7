"""What a table holds, before anything is learnt from it.

`profile(data, target)` gives a Profile: figures of every column, what is wrong with them, and the step of a recipe that
would mend each. Printed, it is a summary; `save_html` writes a report.
"""

from clary.data.profiling.build import profile
from clary.data.profiling.profile import Profile
from clary.data.profiling.summaries import ColumnSummary, Finding, Severity, Target

__all__ = ["ColumnSummary", "Finding", "Profile", "Severity", "Target", "profile"]
