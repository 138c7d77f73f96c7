"""Which tasks start, of given queues."""

import pytest

from clary.compute.capacity import Claim, Held, ReplicaShare, admit, claim
from clary.core.errors import CapacityError
from clary.core.instances import Machine
from clary.core.tasks import Resources, Serve, Task

MACHINE = Machine(cpus=4, memory_mib=8192, gpus=2)
NOTHING = ReplicaShare()


def a_task(hosts=1, serve=None, **resources):
    return Task(
        id="t1",
        owner=("training-job", "t", "u"),
        image="clary/xgboost",
        hosts=tuple(f"algo-{n + 1}" for n in range(hosts)),
        resources=Resources(**resources),
        serve=serve,
        queued_at=7.0,
    )


def a_claim(name, queued_at, cpus=0.0, memory_mib=0, gpus=0):
    return Claim(name, queued_at, cpus, memory_mib, gpus)


def started(queue, held=(), machine=MACHINE):
    return [claim.task_id for claim, _ in admit(queue, held, machine)]


def test_a_claim_is_all_hosts_together():
    assert claim(a_task(hosts=2, cpus=1, memory_mib=512, gpus=1), MACHINE, NOTHING) == Claim("t1", 7.0, 2, 1024, 2)


def test_a_claim_is_clamped_to_the_machine():
    assert claim(a_task(hosts=100, cpus=4, memory_mib=8192), MACHINE, NOTHING) == Claim("t1", 7.0, 4, 8192, 0)


def test_a_replica_claims_the_share_of_the_settings_and_its_gpus():
    replica = a_task(serve=Serve(), cpus=4, memory_mib=8192, gpus=1)
    assert claim(replica, MACHINE, NOTHING) == Claim("t1", 7.0, 0, 0, 1)
    assert claim(replica, MACHINE, ReplicaShare(0.5, 256)) == Claim("t1", 7.0, 0.5, 256, 1)


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (a_task(gpus=3), r"asks for 3 GPU\(s\) \(1 x 3\), this machine has 2"),
        (a_task(hosts=3, gpus=1), r"asks for 3 GPU\(s\) \(3 x 1\)"),
        (a_task(gpus=1, accelerator="trainium"), "trainium"),
        (a_task(gpus=3, serve=Serve()), "this machine has 2"),
    ],
)
def test_accelerators_that_are_not_there_are_an_error(task, text):
    with pytest.raises(CapacityError, match=text):
        claim(task, MACHINE, NOTHING)


def test_first_come_first_served():
    assert started([a_claim("b", 2, cpus=2), a_claim("a", 1, cpus=2), a_claim("c", 3, cpus=2)]) == ["a", "b"]


def test_claims_of_the_same_moment_go_by_id():
    assert started([a_claim("b", 1, cpus=4), a_claim("a", 1, cpus=4)]) == ["a"]


def test_a_big_claim_at_the_head_holds_back_those_behind_it():
    assert started([a_claim("big", 1, cpus=4), a_claim("small", 2, cpus=1)], [Held(cpus=1)]) == []


def test_what_the_head_does_not_need_goes_to_those_behind_it():
    waits_for_gpu = a_claim("gpu", 1, cpus=1, gpus=2)
    behind = [a_claim("cpu", 2, cpus=3), a_claim("more", 3, cpus=1)]
    assert started([waits_for_gpu, *behind], [Held(gpus=(0,))]) == ["cpu"]


def test_a_claim_on_nothing_never_waits():
    full = [Held(cpus=4, memory_mib=8192, gpus=(0, 1))]
    assert started([a_claim("job", 1, cpus=1), a_claim("replica", 2)], full) == ["replica"]


def test_gpus_are_exclusive():
    assert admit([a_claim("a", 1, gpus=1)], [Held(gpus=(0,))], MACHINE) == [(a_claim("a", 1, gpus=1), (1,))]
    assert started([a_claim("a", 1, gpus=1)], [Held(gpus=(0,)), Held(gpus=(1,))]) == []


def test_memory_is_held_too():
    assert started([a_claim("a", 1, memory_mib=1)], [Held(memory_mib=8192)]) == []


def test_tenths_of_cpus_add_up():
    assert len(started([a_claim(str(n), n, cpus=0.1) for n in range(40)])) == 40


def test_a_machine_that_has_become_smaller_starts_nothing_more():
    assert started([a_claim("a", 1, cpus=1)], [Held(cpus=9)]) == []
