"""docs/data/tutorial.md, run as it stands there: its programs one after the other, in one Python, beside a server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.aws import aws

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "data" / "tutorial.md").read_text()


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_from_a_messy_file_to_a_deployed_model(tmp_path):
    program = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    shell = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    (process,) = (line for line in shell if line.startswith("clary process"))
    with aws() as server:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        _, verb, recipe, table, output, *options = process.split()
        by_command = server.clary(verb, *(str(tmp_path / name) for name in (recipe, table, output)), *options)
    printed = done.stdout
    assert "4 rows are bad" in printed
    assert len((tmp_path / "bad.csv").read_bytes().splitlines()) >= 4
    assert "there is no step 'imput'; is it 'impute'?" in printed
    assert "Completed 568 of 580 rows" in printed
    assert float(re.search(r"depth \d: AUC ([0-9.]+) on the validation rows", printed)[1]) > 0.95
    assert by_command.stdout.rpartition("\n568 of 580 rows")[1]
    assert (tmp_path / output / "features" / "train" / "part.csv").exists()
