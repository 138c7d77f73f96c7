"""The command that runs a program in bubblewrap: a file system of its own with /opt/ml, and names for its hosts.

The machine's files are seen read-only, the platform's home and /tmp not at all, but for what the program needs of
them. Processes have a namespace of their own, so whatever a program leaves behind dies with it.

To end a program, signal the *session* of bubblewrap's child (the status pipe names it): init of the namespace
ignores the signal and the program gets it. SIGTERM to bubblewrap itself would kill the namespace at once.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clary.compute.environment import OPT_ML

# What container engines leave to root as well, without MKNOD, NET_RAW and AUDIT_WRITE.
_ROOT_KEEPS = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE"),
    *("CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"),
)
_NAMESPACES = ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session")
_PROBE_S = 10.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What of the machine the sandbox depends on.

    opt      the entries of /opt but for `ml`; those that are symbolic links with their target
    devices  device files to hand through: accelerators
    """

    opt: tuple[tuple[str, str], ...] = ()
    etc_hosts: bool = True
    root: bool = False
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One host of a task.

    ml          becomes /opt/ml
    read_only   parts of it that the program may only read, relative
    tmp         becomes /tmp
    writable    folders of its own, seen where they are
    hidden      folders of which it sees nothing: the platform's home
    visible     what the program needs inside them (interpreter, libraries), read-only
    hosts_file  becomes /etc/hosts
    isolated    no network but a loopback of its own
    """

    ml: str
    tmp: str
    hosts_file: str
    hostname: str
    read_only: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    visible: tuple[str, ...] = ()
    isolated: bool = False
    directory: str = OPT_ML
    machine: Machine = Machine()


def command(argv: Sequence[str], sandbox: Sandbox, status_fd: int | None = None) -> list[str]:
    """The whole command line: bubblewrap's, then the program's.

    status_fd   where bubblewrap writes its child's pid and, at the end, the program's exit code
    """
    machine = sandbox.machine
    made = ["bwrap", *_NAMESPACES, "--hostname", sandbox.hostname]
    made += ["--unshare-net"] if sandbox.isolated else []
    if machine.root:
        made += ["--cap-drop", "ALL", *(word for cap in _ROOT_KEEPS for word in ("--cap-add", cap))]
    made += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    made += [word for device in machine.devices for word in ("--dev-bind-try", device, device)]
    made += _opt(machine)
    made += _own_places(sandbox)
    made += ["--bind", sandbox.ml, OPT_ML]
    for part in sandbox.read_only:
        made += ["--ro-bind", f"{sandbox.ml}/{part}", f"{OPT_ML}/{part}"]
    if machine.etc_hosts:
        made += ["--ro-bind", sandbox.hosts_file, "/etc/hosts"]
    if status_fd is not None:
        made += ["--json-status-fd", str(status_fd)]
    return [*made, "--chdir", sandbox.directory, "--", *argv]


def _own_places(sandbox: Sandbox) -> list[str]:
    """Hide, show again and open up; outer folders first, since a mount covers what was mounted inside it before."""
    hidden = ("/tmp", *sandbox.hidden)  # noqa: S108
    mounts: dict[str, Literal["tmp", "hide", "show", "open"]] = {}
    mounts |= {path: "show" for path in sandbox.visible if _within(path, hidden)}
    mounts |= dict.fromkeys(sandbox.hidden, "hide")
    mounts |= dict.fromkeys(sandbox.writable, "open")
    mounts["/tmp"] = "tmp"  # noqa: S108
    made: list[str] = []
    for path in sorted(mounts, key=lambda path: (path.count("/"), path)):
        match mounts[path]:
            case "tmp":
                made += ["--bind", sandbox.tmp, path]
            case "hide":
                made += ["--tmpfs", path]
            case "show":
                made += ["--ro-bind", path, path]
            case "open":
                made += ["--bind", path, path]
    return made


def _within(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(f"{folder}/") for folder in folders)


def _opt(machine: Machine) -> list[str]:
    """/opt as it is, with room for /opt/ml in it."""
    made = ["--tmpfs", "/opt"]
    for name, target in machine.opt:
        made += ["--symlink", target, f"/opt/{name}"] if target else ["--ro-bind", f"/opt/{name}", f"/opt/{name}"]
    return made


def this_machine(gpus: bool = False) -> Machine:
    """What there is here; determined anew for every task, as it is quick."""
    opt = [
        (entry.name, str(Path(entry.path).readlink()) if entry.is_symlink() else "")
        for entry in sorted(os.scandir("/opt"), key=lambda entry: entry.name)
        if entry.name != "ml"
    ]
    devices = [*Path("/dev").glob("nvidia*"), Path("/dev/dri"), Path("/dev/kfd")] if gpus else []
    return Machine(
        opt=tuple(opt),
        etc_hosts=Path("/etc/hosts").exists(),
        root=os.geteuid() == 0,
        devices=tuple(sorted(str(device) for device in devices if device.exists())),
    )


@functools.cache
def probe() -> str:
    """Why bubblewrap cannot be used here, "" where it works."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian, Ubuntu, Fedora: package bubblewrap)"
    if not Path("/opt").is_dir():
        return "there is no folder /opt on this machine to put /opt/ml into"
    tried = [
        *("bwrap", *_NAMESPACES, "--hostname", "algo-1", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        *("--tmpfs", "/opt", "--dir", OPT_ML, "true"),
    ]
    try:
        result = subprocess.run(tried, capture_output=True, timeout=_PROBE_S, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start: {error}"
    if result.returncode == 0:
        return ""
    reason = result.stderr.decode("utf-8", "replace").strip()[-300:]
    return f"bubblewrap may not make namespaces here ({reason}); unprivileged user namespaces have to be allowed"
