"""Manifests are read by every part: importing them must cost nothing."""

import subprocess
import sys


def test_manifests_need_nothing_but_the_standard_library():
    code = (
        "import sys; before = set(sys.modules); import clary.algorithms.registry;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - sys.stdlib_module_names - {'clary'}),"
        "*sorted(n for n in sys.modules if n.startswith('clary.') and not n.startswith('clary.algorithms')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
