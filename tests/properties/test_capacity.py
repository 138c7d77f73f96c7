"""Admission: what holds for any queue."""

from hypothesis import given
from hypothesis import strategies as st

from clary.compute.capacity import Claim, Held, admit
from clary.core.instances import Machine

MACHINE = Machine(cpus=4, memory_mib=8192, gpus=2)

claims = st.builds(
    Claim,
    st.uuids().map(str),
    st.floats(0, 100),
    st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0]),
    st.sampled_from([0, 100, 4096, 8192]),
    st.integers(0, 2),
)


@given(st.lists(claims, max_size=12, unique_by=lambda claim: claim.task_id))
def test_no_resource_is_given_twice_and_every_task_runs_in_the_end(queue):
    running: dict[str, Held] = {}
    waiting = {claim.task_id: claim for claim in queue}
    while waiting or running:
        for claim, gpus in admit(list(waiting.values()), list(running.values()), MACHINE):
            del waiting[claim.task_id]
            running[claim.task_id] = Held(claim.cpus, claim.memory_mib, gpus)
            assert len(gpus) == claim.gpus
        assert running, "a task waits for ever"
        assert sum(claim.cpus for claim in running.values()) <= MACHINE.cpus
        assert sum(claim.memory_mib for claim in running.values()) <= MACHINE.memory_mib
        indices = [index for claim in running.values() for index in claim.gpus]
        assert len(indices) == len(set(indices))
        running.popitem()


@given(st.lists(claims, min_size=1, max_size=8, unique_by=lambda claim: claim.task_id), st.data())
def test_those_behind_never_delay_the_head(queue, data):
    """The head starts after the same ends of tasks, whatever stands behind it."""
    held = data.draw(st.lists(st.builds(Held, st.sampled_from([1.0, 2.0]), st.sampled_from([0, 4096])), max_size=2))
    head = min(queue, key=lambda claim: (claim.queued_at, claim.task_id))
    started_now = admit(queue, held, MACHINE)
    if head not in [claim for claim, _ in started_now]:
        others = [Held(claim.cpus, claim.memory_mib, gpus) for claim, gpus in started_now]
        alone = [claim for claim, _ in admit([head], [], MACHINE)]
        assert [claim for claim, _ in admit([head], others, MACHINE)] == alone == [head]
