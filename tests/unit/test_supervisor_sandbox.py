from __future__ import annotations

from dataclasses import replace

from clary.compute.sandbox import Machine, Sandbox, command

INNER = Sandbox(ml="/h/tasks/t/hosts/algo-1/ml", tmp="/x/tmp", hosts_file="/x/etc-hosts", hostname="algo-1")


def mounts(sandbox: Sandbox) -> list[tuple[str, ...]]:
    """Options and what belongs to them, in order."""
    arguments = command(["python"], sandbox)
    made: list[tuple[str, ...]] = []
    for argument in arguments[1 : arguments.index("--")]:
        if argument.startswith("--"):
            made.append((argument,))
        else:
            made[-1] += (argument,)
    return made


def test_the_program_comes_last_and_as_it_is() -> None:
    arguments = command(["sh", "-c", "--bind / /"], INNER, status_fd=7)
    assert arguments[0] == "bwrap"
    assert arguments[arguments.index("--") :] == ["--", "sh", "-c", "--bind / /"]
    assert arguments[arguments.index("--json-status-fd") + 1] == "7"


def test_opt_ml_is_its_own_and_the_machines_opt_stays() -> None:
    made = mounts(replace(INNER, machine=Machine(opt=(("cuda", "cuda-12"), ("tools", "")))))
    assert made.index(("--tmpfs", "/opt")) < made.index(("--symlink", "cuda-12", "/opt/cuda"))
    assert made.index(("--ro-bind", "/opt/tools", "/opt/tools")) < made.index(("--bind", INNER.ml, "/opt/ml"))


def test_what_may_only_be_read_is_mounted_over_what_may_be_written() -> None:
    made = mounts(replace(INNER, read_only=("input/data/train",)))
    over = ("--ro-bind", f"{INNER.ml}/input/data/train", "/opt/ml/input/data/train")
    assert made.index(("--bind", INNER.ml, "/opt/ml")) < made.index(over)


def test_outer_folders_are_mounted_first() -> None:
    sandbox = replace(
        INNER,
        hidden=("/tmp/project/home",),
        visible=("/tmp/project", "/usr/lib/python3", "/tmp/project/home/runtimes/x"),
        writable=("/tmp/project/home/tasks/t/hosts/algo-1/venv",),
    )
    made = mounts(sandbox)
    order = [
        ("--ro-bind", "/", "/"),
        ("--bind", "/x/tmp", "/tmp"),
        ("--ro-bind", "/tmp/project", "/tmp/project"),
        ("--tmpfs", "/tmp/project/home"),
        ("--ro-bind", "/tmp/project/home/runtimes/x", "/tmp/project/home/runtimes/x"),
        ("--bind", *(2 * ("/tmp/project/home/tasks/t/hosts/algo-1/venv",))),
    ]
    assert [made.index(mount) for mount in order] == sorted(made.index(mount) for mount in order)
    assert ("--ro-bind", "/usr/lib/python3", "/usr/lib/python3") not in made  # seen anyway


def test_a_home_in_opt_is_hidden_after_opt_was_shown() -> None:
    machine = Machine(opt=(("clary", ""),))
    made = mounts(replace(INNER, hidden=("/opt/clary/home",), machine=machine))
    assert made.index(("--ro-bind", "/opt/clary", "/opt/clary")) < made.index(("--tmpfs", "/opt/clary/home"))


def test_the_network_is_taken_away_only_where_that_was_asked_for() -> None:
    assert ("--unshare-net",) not in mounts(INNER)
    assert ("--unshare-net",) in mounts(replace(INNER, isolated=True))


def test_root_gives_up_what_could_undo_the_mounts() -> None:
    made = mounts(replace(INNER, machine=Machine(root=True)))
    assert made.index(("--cap-drop", "ALL")) < made.index(("--cap-add", "CAP_CHOWN"))
    assert ("--cap-add", "CAP_SYS_ADMIN") not in made
    assert not [mount for mount in mounts(INNER) if mount[0].startswith("--cap")]
