"""Jobs: what every family has in common whose record is one task that runs to its end.

    InProgress ──> Completed | Failed | Stopped (past its time limit)
         └──> Stopping ──> Stopped

status.py      the statuses, and the secondary statuses, which are a record's detail
state.py       what a record's state holds
kind.py        what a family of jobs has of its own: its stages, its task, its reasons
decide.py      the next step
operations.py  what Create, Stop, Describe and Delete share
task.py        the task, but for its environment and data
"""
