"""What this machine has, read from its drivers and programs; what the doctor reports of it."""

from clary.compute import machine
from clary.compute.doctor import examine
from clary.core.settings import Settings


def test_the_machine_has_something():
    found = machine.this_machine()
    assert found.cpus > 0
    assert found.memory_mib > 0


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
