"""What the machine has, in containers and service units too, and what the doctor reports."""

from clary.compute import machine
from clary.compute.doctor import examine
from clary.core.instances import Machine
from clary.core.settings import Settings


def groups(tmp_path, lines):
    own = tmp_path / "cgroup"
    own.write_text("\n".join(lines) + "\n")
    return machine._own_cgroups(tmp_path / "fs", own)


def test_the_machine_has_something():
    here = machine.this_machine()
    assert here.cpus > 0
    assert here.memory_mib > 0


def test_settings_choose_what_tasks_may_hold():
    here = machine.this_machine()
    assert machine.capacity(Settings(cpus=0.5, memory_mib=100)) == Machine(0.5, 100, here.gpus)
    assert machine.capacity(Settings()) == here


def test_limits_of_every_group_above_count(tmp_path):
    group = tmp_path / "fs" / "a" / "b"
    group.mkdir(parents=True)
    (tmp_path / "fs" / "a" / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "fs" / "a" / "memory.max").write_text(f"{512 << 20}\n")
    (group / "cpu.max").write_text("max 100000\n")
    (group / "memory.max").write_text("max\n")
    found = groups(tmp_path, ["0::/a/b"])
    assert [machine._cpu_quota(files) for files in found] == [None, 1.5, None]
    assert [machine._memory_limit_mib(files) for files in found] == [None, 512, None]


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


def an_nvidia_smi(folder, monkeypatch, script):
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_gpus_are_counted(tmp_path, monkeypatch):
    an_nvidia_smi(tmp_path, monkeypatch, "echo 0; echo 1")
    assert machine.count_gpus() == 2


def test_a_driver_that_fails_has_no_gpus(tmp_path, monkeypatch):
    an_nvidia_smi(tmp_path, monkeypatch, "echo NVIDIA-SMI has failed; exit 9")
    assert machine.count_gpus() == 0


def test_the_doctor_reports_what_each_thing_enables(tmp_path):
    findings = examine(Settings(home=tmp_path / "not" / "yet"))
    names = [finding.name for finding in findings]
    assert {"CPUs", "memory", "GPUs", "disk space", "open files", "bubblewrap", "podman", "docker", "rclone"} <= set(
        names
    )
    assert len(names) == len(set(names))
    assert all(finding.detail and finding.gives for finding in findings)
    assert not (tmp_path / "not").exists()
    assert next(finding for finding in findings if finding.name == "rclone").present


def test_the_doctor_sees_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    findings = {finding.name: finding for finding in examine(Settings(home=tmp_path))}
    assert not findings["xgboost"].present
    assert "pip install 'clary[algorithms]'" in findings["scikit-learn"].detail
