"""What the machine has, in containers and service units too."""

from clary.compute import machine
from clary.core.instances import Machine
from clary.core.settings import Settings


def groups(tmp_path, lines):
    own = tmp_path / "cgroup"
    own.write_text("\n".join(lines) + "\n")
    return machine._own_cgroups(tmp_path / "fs", own)


def test_settings_choose_what_tasks_may_hold(monkeypatch):
    whole = Machine(8, 32768, 2)
    monkeypatch.setattr(machine, "this_machine", lambda: whole)
    assert machine.capacity(Settings(cpus=0.5, memory_mib=100)) == Machine(0.5, 100, 2)
    assert machine.capacity(Settings()) == whole


def test_limits_of_every_group_above_count(tmp_path):
    group = tmp_path / "fs" / "a" / "b"
    group.mkdir(parents=True)
    (tmp_path / "fs" / "a" / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "fs" / "a" / "memory.max").write_text(f"{512 << 20}\n")
    (group / "cpu.max").write_text("max 100000\n")
    (group / "memory.max").write_text("max\n")
    found = groups(tmp_path, ["0::/a/b"])
    assert [machine._cpu_quota(group) for group in found] == [None, 1.5, None]
    assert [machine._memory_limit_mib(group) for group in found] == [None, 512, None]


def test_control_groups_of_the_first_version_count_too(tmp_path):
    cpu, memory = tmp_path / "fs" / "cpu" / "a", tmp_path / "fs" / "memory" / "a"
    cpu.mkdir(parents=True)
    memory.mkdir(parents=True)
    (cpu / "cpu.cfs_quota_us").write_text("50000\n")
    (cpu / "cpu.cfs_period_us").write_text("100000\n")
    (memory / "memory.limit_in_bytes").write_text(f"{1 << 30}\n")
    (memory.parent / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    found = groups(tmp_path, ["3:cpu,cpuacct:/a", "2:memory:/a", "1:name=systemd:/a"])
    assert [quota for quota in map(machine._cpu_quota, found) if quota] == [0.5]
    assert [limit for limit in map(machine._memory_limit_mib, found) if limit] == [1024]


def test_a_machine_without_control_groups_has_no_limits(tmp_path):
    assert machine._own_cgroups(tmp_path, tmp_path / "none") == []
    assert groups(tmp_path, ["nonsense"]) == []
