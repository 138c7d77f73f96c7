"""The program of the image `clary/data`, by hand: a folder in the place of /opt/ml, and what it leaves there."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import FunctionTransformer

from clary.cli.process import command
from clary.data import FittedRecipe, Recipe, read
from clary.data.sinks.formats import FORMATS as WRITTEN
from clary.formats.recordio import parse_record, records
from clary.tasks.recipe_job import job
from clary.tasks.recipe_job.hosts import Host
from clary.tasks.recipe_job.messages import shortened, with_flags
from clary.tasks.recipe_job.options import FORMATS, Options, declared, parse
from tests.data_library.recipe_support import passengers

TEXTS = [f"c{number}" for number in range(5)]
STEPS: list[Any] = [
    {"drop": {"columns": ["day", "flag"]}},
    {"impute": {"strategy": "median"}},
    {"scale": {"columns": ["n0", "n1"]}},
    {"one_hot": {"columns": TEXTS}},
]
SPLIT = {"split": {"train": 0.5, "validation": 0.3, "test": 0.2, "seed": 3}}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return passengers(rows=300, seed=5)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return a_base(tmp_path / "ml", monkeypatch)


def a_base(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /opt/ml with empty folders, which the program takes for its own from now on."""
    for name in ("recipe", "input", "output"):
        (folder / "processing" / name).mkdir(parents=True)
    (folder / "config").mkdir()
    (folder / "output").mkdir()
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(folder))
    return folder


def give(base: Path, table: pd.DataFrame, *steps: Any, files: int = 1, fitted: bool = False) -> FittedRecipe:
    """Put the table and a recipe for it into the inputs; the recipe, fitted to the table as the program reads it."""
    size = -(-len(table) // files)
    for number in range(files):
        part = table.iloc[number * size : (number + 1) * size]
        part.to_parquet(base / "processing" / "input" / f"{number}.parquet", index=False)
    recipe = Recipe(list(steps) or STEPS, target="label")
    made = recipe.fit(table)
    if fitted:
        made.save(base / "processing" / "recipe" / "recipe.clary")
    else:
        recipe.save(base / "processing" / "recipe" / "recipe.yaml")
    return made


def host(base: Path, number: int, count: int, *, sharded: bool = False) -> None:
    """Say that this is one of several hosts, as the platform does."""
    config = {"current_host": f"algo-{number}", "hosts": [f"algo-{index}" for index in range(1, count + 1)]}
    (base / "config" / "resourceconfig.json").write_text(json.dumps(config))
    distribution = "ShardedByS3Key" if sharded else "FullyReplicated"
    given = {"LocalPath": "/opt/ml/processing/input", "S3DataDistributionType": distribution}
    request = {"ProcessingInputs": [{"InputName": "a", "DatasetDefinition": {}}, {"InputName": "b", "S3Input": given}]}
    (base / "config" / "processingjobconfig.json").write_text(json.dumps(request))


def output(base: Path) -> Path:
    return base / "processing" / "output"


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def reason(base: Path) -> str:
    """Why it failed, as the platform tells it."""
    return (base / "output" / "failure").read_text()


def fails(base: Path, *options: str) -> str:
    assert job.main(options) == 1
    message = reason(base)
    assert message.startswith("ClientError: ")
    assert len(message) <= 1024
    assert files(output(base)) == [], "a job that failed leaves nothing"
    return message


# ---- one host ----


def test_a_recipe_is_fitted_and_applied(base: Path, table: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    fitted = give(base, table)
    assert job.main([]) == 0
    made = output(base)
    assert files(made) == ["features/part.parquet", "model.tar.gz", "recipe.clary", "told.json"]
    pd.testing.assert_frame_equal(pd.read_parquet(made / "features/part.parquet"), fitted.transform(table))
    loaded = FittedRecipe.load(made / "recipe.clary")
    pd.testing.assert_frame_equal(loaded.transform(table), fitted.transform(table))
    with tarfile.open(made / "model.tar.gz") as archive:
        assert archive.getnames() == ["recipe.clary"]
        assert archive.extractfile("recipe.clary").read() == (made / "recipe.clary").read_bytes()  # type: ignore[union-attr]
    notes = json.loads((made / "told.json").read_text())
    assert notes["columns"] == list(fitted.names)
    assert notes["hash"] == fitted.recipe.hash
    sentence = f"300 of 300 rows in {len(fitted.names)} columns, 4 steps."
    assert (base / "output" / "message").read_text() == sentence
    printed = capsys.readouterr().out
    assert printed.endswith(f"{sentence}\n")
    for step, sentences in fitted.step_notes.items():
        assert all(f"step {step}: {sentence}" in printed for sentence in sentences)


def test_a_fitted_recipe_is_applied_as_it_is(base: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    """To rows it has not seen, which it learns nothing from; with more columns than it knows, and no target."""
    fitted = give(base, table, fitted=True)
    new = passengers(rows=50, seed=9).drop(columns="label").assign(more=1)
    (base / "processing/input/0.parquet").unlink()
    new.to_parquet(base / "processing/input/new.parquet", index=False)
    assert job.main([]) == 0
    found = pd.read_parquet(output(base) / "features/part.parquet")
    pd.testing.assert_frame_equal(found, fitted.transform(new), check_dtype=False)
    assert "label" not in found
    assert (output(base) / "recipe.clary").read_bytes() == (base / "processing/recipe/recipe.clary").read_bytes()


def test_what_is_split_has_folders(base: Path, table: pd.DataFrame) -> None:
    fitted = give(base, table, *STEPS, SPLIT)
    assert job.main(["--format", "csv", "--label", "label", "--header"]) == 0
    expected = fitted.transform(table, training=True)
    for share in ("train", "validation", "test"):
        found = pd.read_csv(output(base) / "features" / share / "part.csv")
        assert next(iter(found)) == "label"
        assert "split" not in found
        wanted = expected[expected["split"] == share].drop(columns="split").reset_index(drop=True)
        pd.testing.assert_frame_equal(found[list(wanted)], wanted, check_dtype=False, check_exact=True)
    assert (output(base) / "features").is_dir()
    assert not (output(base) / "features/part.csv").exists()


def test_a_column_of_the_users_that_is_called_split_is_only_a_column(base: Path, table: pd.DataFrame) -> None:
    """Nothing is left out by it, whatever it holds."""
    give(base, table.assign(split="other"), {"drop": {"columns": ["day"]}}, *STEPS[1:], fitted=True)
    assert job.main([]) == 0
    assert len(pd.read_parquet(output(base) / "features/part.parquet")) == 300


def test_csv_is_as_sagemakers_algorithms_want_it(base: Path, table: pd.DataFrame) -> None:
    fitted = give(base, table)
    assert job.main(["--format", "csv", "--label", "label"]) == 0
    found = pd.read_csv(output(base) / "features/part.csv", header=None)
    expected = fitted.transform(table)
    np.testing.assert_array_equal(found[0], table["label"])
    np.testing.assert_array_equal(found.iloc[:, 1:], expected.drop(columns="label"))


@pytest.mark.parametrize(
    ("form", "name"), [("libsvm", "part.libsvm"), ("feather", "part.feather"), ("jsonl", "part.jsonl")]
)
def test_other_formats_hold_the_same(base: Path, table: pd.DataFrame, form: str, name: str) -> None:
    fitted = give(base, table)
    assert job.main(["--format", form, "--label", "label"]) == 0
    found = read(output(base) / "features" / name).to_numpy(dtype=np.float64)
    expected = fitted.transform(table)
    np.testing.assert_array_equal(found, expected[["label", *expected.columns.drop("label")]])


def test_recordio_is_float32_with_labels_apart(base: Path, table: pd.DataFrame) -> None:
    fitted = give(base, table)
    assert job.main(["--format", "recordio", "--label", "label"]) == 0
    parsed = [parse_record(record) for record in records((output(base) / "features/part.pbr").read_bytes())]
    assert len(parsed) == 300
    assert [label["values"][0][0] for _, label in parsed] == list(table["label"])
    found = np.array([features["values"][0] for features, _ in parsed])
    np.testing.assert_array_equal(found, fitted.transform(table)[list(fitted.names)].to_numpy(np.float32))


def test_rows_per_file(base: Path, table: pd.DataFrame) -> None:
    fitted = give(base, table)
    assert job.main(["--rows-per-file", "120"]) == 0
    names = [f"part-{number:05}.parquet" for number in range(3)]
    assert files(output(base) / "features") == names
    parts = [pd.read_parquet(output(base) / "features" / name) for name in names]
    assert [len(part) for part in parts] == [120, 120, 60]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), fitted.transform(table))


def test_a_profile_where_it_is_wanted(base: Path, table: pd.DataFrame) -> None:
    give(base, table[["n0", "c0", "label"]].head(60), {"impute": {"strategy": "median"}})
    assert job.main(["--profile"]) == 0
    text = (output(base) / "profile.html").read_text()
    assert text.startswith(("<!DOCTYPE html>", "<!doctype html>"))
    assert "n0" in text


def test_a_fitted_recipes_profile_of_a_table_without_its_target(base: Path, table: pd.DataFrame) -> None:
    give(base, table[["n0", "label"]].head(60), {"impute": {"strategy": "median"}}, fitted=True)
    table[["n0"]].to_parquet(base / "processing/input/0.parquet", index=False)
    assert job.main(["--profile"]) == 0
    assert (output(base) / "profile.html").exists()


def test_folders_and_files_are_named(tmp_path: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run by hand, without anything of a job's: no message is left."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / "none"))
    table.to_csv(tmp_path / "rows.csv", index=False)
    Recipe(STEPS, target="label").save(tmp_path / "recipe.json")
    where = ["--recipe", str(tmp_path / "recipe.json"), "--input", str(tmp_path / "rows.csv")]
    assert job.main([*where, "--output", str(tmp_path / "made")]) == 0
    assert "features/part.parquet" in files(tmp_path / "made")
    assert not (tmp_path / "none").exists()


def test_how_the_input_is_read_can_be_chosen(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    (base / "processing/input/0.parquet").unlink()
    table.to_csv(base / "processing/input/rows.txt", index=False, sep="!")
    assert job.main(["--input-format", "csv", "--read", "delimiter=!", "--read", "header=True"]) == 0
    assert len(pd.read_parquet(output(base) / "features/part.parquet")) == 300


# ---- several hosts ----


def by_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame, hosts: int, *options: str, **given: Any
) -> dict[str, pd.DataFrame]:
    """What all hosts together have written of features, by name."""
    found: dict[str, pd.DataFrame] = {}
    for number in range(1, hosts + 1):
        base = a_base(tmp_path / f"algo-{number}", monkeypatch)
        give(base, table, *given.get("steps", ()), files=given.get("files", 1), fitted=given.get("fitted", False))
        host(base, number, hosts)
        assert job.main(options) == 0, reason(base)
        artefacts = [name for name in files(output(base)) if not name.startswith("features/")]
        assert artefacts == (["model.tar.gz", "recipe.clary", "told.json"] if number == 1 else [])
        made = {name: output(base) / name for name in files(output(base)) if name.startswith("features/")}
        assert not made.keys() & found.keys(), "names do not clash"
        found |= {name: pd.read_parquet(path) for name, path in made.items()}
    return found


@pytest.mark.parametrize("hosts", [2, 3, 12])
@pytest.mark.parametrize("files", [1, 4])
def test_hosts_share_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame, hosts: int, files: int
) -> None:
    found = by_hosts(tmp_path, monkeypatch, table, hosts, files=files)
    assert set(found) == {f"features/part-algo-{number}.parquet" for number in range(1, hosts + 1)}
    whole = pd.concat([found[f"features/part-algo-{number}.parquet"] for number in range(1, hosts + 1)])
    expected = Recipe(STEPS, target="label").fit_transform(table)
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), expected)
    sizes = [len(part) for part in found.values()]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("fitted", [False, True])
def test_rows_that_depend_on_others_are_the_same_on_several_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame, fitted: bool
) -> None:
    """A value is carried over the border between two hosts' rows; what is there twice is left out once."""
    holes = table.assign(n0=table["n0"].where(np.arange(300) % 100 < 3), label=1)
    twice = pd.concat([holes, holes], ignore_index=True)
    steps = [
        "deduplicate",
        {"impute": {"columns": ["n0"], "strategy": "forward_fill"}},
        {"drop": {"columns": ["day", "flag", *TEXTS]}},
        {"impute": {"strategy": "median"}},
    ]
    found = by_hosts(tmp_path, monkeypatch, twice, 4, steps=steps, fitted=fitted)
    expected = Recipe(steps, target="label").fit(twice).transform(twice, training=not fitted)
    assert len(expected) == (600 if fitted else 300)
    whole = pd.concat(found[name] for name in sorted(found))
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), expected.reset_index(drop=True), check_dtype=False)


def test_each_host_splits_its_rows_as_one_host_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame
) -> None:
    found = by_hosts(tmp_path, monkeypatch, table, 2, "--rows-per-file", "60", steps=[*STEPS, SPLIT])
    assert {name.rpartition("/")[0] for name in found} == {
        f"features/{split}" for split in ("train", "validation", "test")
    }
    expected = Recipe([*STEPS, SPLIT], target="label").fit_transform(table)
    for share in ("train", "validation", "test"):
        mine = [name for name in sorted(found) if f"/{share}/" in name]
        assert all(f"/part-algo-{name[-15]}-0000" in name for name in mine)
        whole = pd.concat(found[name] for name in mine).reset_index(drop=True)
        wanted = expected[expected["split"] == share].drop(columns="split").reset_index(drop=True)
        pd.testing.assert_frame_equal(whole, wanted)


def test_a_host_without_rows_writes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame) -> None:
    found = by_hosts(tmp_path, monkeypatch, table.head(2), 3, fitted=True, steps=[{"scale": {"columns": ["whole"]}}])
    assert sorted(map(len, found.values())) == [1, 1]


def test_files_that_were_dealt_out_are_all_each_hosts_own(base: Path, table: pd.DataFrame) -> None:
    """Nothing is left to other hosts, who do not see these files."""
    fitted = give(base, table, fitted=True)
    host(base, 2, 2, sharded=True)
    assert job.main([]) == 0
    found = pd.read_parquet(output(base) / "features/part-algo-2.parquet")
    pd.testing.assert_frame_equal(found, fitted.transform(table))


def test_a_host_that_no_file_fell_to_does_nothing(base: Path, table: pd.DataFrame) -> None:
    give(base, table, fitted=True)
    (base / "processing/input/0.parquet").unlink()
    host(base, 2, 2, sharded=True)
    assert job.main([]) == 0
    assert files(output(base)) == []
    assert "No file of the input has fallen to algo-2" in (base / "output/message").read_text()


def test_hosts_that_see_different_rows_do_not_fit_a_recipe_each(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    host(base, 1, 2, sharded=True)
    message = fails(base)
    assert "sharded by S3 key" in message
    assert "Give a fitted recipe (recipe.clary)" in message
    assert "FullyReplicated" in message


def test_one_host_may_fit_what_was_dealt_out_to_it_alone(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    host(base, 1, 1, sharded=True)
    assert job.main([]) == 0


def test_no_profile_of_a_part(base: Path, table: pd.DataFrame) -> None:
    give(base, table, fitted=True)
    host(base, 1, 2, sharded=True)
    assert "--profile" in fails(base, "--profile")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hosts": ["algo-1"], "current_host": "algo-7"}', '{"hosts": 7}'])
def test_a_configuration_that_makes_no_sense(base: Path, table: pd.DataFrame, text: str) -> None:
    give(base, table)
    (base / "config/resourceconfig.json").write_text(text)
    assert "resourceconfig.json does not name this host among all hosts" in fails(base)


def test_hosts_are_counted_and_not_spelt() -> None:
    """algo-10 is the tenth, not the second; between them all rows are dealt out once."""
    shares = [Host(f"algo-{number + 1}", number, 12).rows_of(1000) for number in range(12)]
    assert [row for share in shares for row in share] == list(range(1000))


# ---- what cannot be ----


def test_no_recipe(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    (base / "processing/recipe/recipe.yaml").unlink()
    message = fails(base)
    assert "must hold one recipe (.yaml, .json or .clary); found: none" in message
    (base / "processing/recipe").rmdir()
    assert "there is no recipe" in fails(base)


def test_two_recipes(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    give(base, table, fitted=True)
    assert "found: recipe.clary, recipe.yaml. Name a file by --recipe" in fails(base)
    assert job.main(["--recipe", "/opt/ml/processing/recipe/recipe.yaml"]) == 0


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("recipe.yaml", "version: 1\nsteps: [{imput: {strategy: median}}]\n", "imput"),
        ("recipe.yaml", "{", "recipe.yaml"),
        ("recipe.json", "\xff", "recipe.json"),
        ("recipe.clary", "no archive", "is not a fitted recipe"),
    ],
)
def test_an_invalid_recipe(base: Path, table: pd.DataFrame, name: str, content: str, expected: str) -> None:
    give(base, table)
    (base / "processing/recipe/recipe.yaml").unlink()
    (base / "processing/recipe" / name).write_bytes(content.encode("latin-1"))
    assert expected in fails(base)


def test_a_column_that_lacks(base: Path, table: pd.DataFrame) -> None:
    give(base, table, fitted=True)
    table.drop(columns="n1").to_parquet(base / "processing/input/0.parquet", index=False)
    assert "lacks 'n1'" in fails(base)


def test_a_step_that_does_not_go_with_its_column(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    Recipe([{"scale": {"columns": ["c0"]}}]).save(base / "processing/recipe/recipe.yaml")
    message = fails(base)
    assert "1 (scale)" in message
    assert "'c0'" in message


def test_bad_rows_are_reported_with_the_option_that_helps(base: Path, table: pd.DataFrame) -> None:
    """The remedy is there even where what is wrong is long: it takes no more than is kept of it."""
    give(base, table)
    (base / "processing/input/0.parquet").unlink()
    lines = table.to_csv(index=False).splitlines()
    lines[5:5] = [",".join(["1" * 75] * 15 + ["more"])] * 3
    (base / "processing/input/rows.csv").write_text("\n".join(lines) + "\n")
    message = fails(base)
    assert "3 rows are bad" in message
    assert message.endswith("Give --bad-rows skip to leave them out")
    assert job.main(["--bad-rows", "skip"]) == 0
    assert len(pd.read_parquet(output(base) / "features/part.parquet")) == 300


def test_pickles_are_refused_until_they_are_allowed(base: Path, table: pd.DataFrame) -> None:
    give(base, table[["n0", "label"]], {"impute": {"strategy": "median"}})
    (base / "processing/recipe/recipe.yaml").unlink()
    steps = [{"impute": {"strategy": "median"}}, {"sklearn": {"transformer": FunctionTransformer(np.square)}}]
    Recipe(steps, target="label").fit(table[["n0", "label"]]).save(base / "processing/recipe/recipe.clary")
    message = fails(base)
    assert "--allow-pickle" in message
    assert "allow_pickle" not in message
    assert job.main(["--allow-pickle"]) == 0
    notes = json.loads((output(base) / "told.json").read_text())
    assert notes["hash"] is None, "a recipe with objects in it has no text to take the hash of"


def test_a_pickled_table_is_refused_until_it_is_allowed(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    (base / "processing/input/0.parquet").unlink()
    (base / "processing/input/rows.pkl").write_bytes(pickle.dumps(table))
    assert "--allow-pickle" in fails(base)
    assert job.main(["--allow-pickle"]) == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--format", "xml"], "'xml'"),
        (["--rows-per-file", "many"], "'many'"),
        (["--bad"], "--bad"),
        (["--format", "libsvm"], "by --label"),
        (["--label", "nothing"], "--label 'nothing' is not one of the columns"),
        (["--rows-per-file", "0"], "--rows-per-file 0"),
        (["--read", "sheet"], "NAME=VALUE"),
        (["--read", "bad_rows=skip"], "is not an option of a format"),
        (["--read", "sheet=1", "--read", "sheet=2"], "was given before"),
        (["--read", "sheet=1"], "has no option 'sheet'"),
        (["--input-format", "wordperfect"], "wordperfect"),
        (["--input", "/opt/ml/processing"], "would be read as input"),
        (["--input", "/opt/ml/processing/nothing"], "nothing"),
    ],
)
def test_options_that_cannot_be(base: Path, table: pd.DataFrame, options: list[str], expected: str) -> None:
    give(base, table)
    assert expected in fails(base, *options)


def test_no_input(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    (base / "processing/input/0.parquet").unlink()
    assert "is a folder without a file to read" in fails(base)


def test_an_error_that_is_unforeseen_is_reported_too(
    base: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(base, table)

    def fall(*_: Any, **__: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(FittedRecipe, "transform_batches", fall)
    assert job.main([]) == 1
    assert reason(base) == "AlgorithmError: RuntimeError: on purpose"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("rows.xlsx: others by sheet=: 'a'.", "rows.xlsx: others by --read sheet=: 'a'."),
        ("x: read it with types={'a': 'text'}", "x: read it with --read types={'a': 'text'}"),
        ("give format=, one of csv", "give --input-format, one of csv"),
        ("s3://b/year=1/key=7 is bad: 'key=8'", "s3://b/year=1/key=7 is bad: 'key=8'"),
    ],
)
def test_messages_have_the_programs_options(message: str, expected: str) -> None:
    assert with_flags(message) == expected


def test_a_long_message_keeps_both_its_ends() -> None:
    short = shortened("the fault" + "x" * 5000 + "the remedy", 1000)
    assert len(short) == 1000
    assert short.startswith("the fault")
    assert short.endswith("the remedy")
    assert shortened("short", 1000) == "short"


# ---- run again, and killed ----


def test_a_second_run_replaces_the_first(base: Path, table: pd.DataFrame) -> None:
    """None of its files stays between the new ones, where a training job would read both."""
    give(base, table, *STEPS, SPLIT)
    assert job.main(["--rows-per-file", "20"]) == 0
    Recipe(STEPS, target="label").save(base / "processing/recipe/recipe.yaml")
    assert job.main(["--format", "csv"]) == 0
    assert files(output(base) / "features") == ["part.csv"]


def test_a_run_that_fails_leaves_the_first_as_it_was(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    assert job.main([]) == 0
    before = {name: (output(base) / name).read_bytes() for name in files(output(base))}
    assert job.main(["--label", "nothing"]) == 1
    assert {name: (output(base) / name).read_bytes() for name in files(output(base))} == before


def test_what_no_recipe_made_is_not_deleted(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    mine = output(base) / "features" / "train" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert job.main([]) == 1
    assert "notes.txt is not of a recipe's features: name another output" in reason(base)
    assert files(output(base)) == ["features/train/notes.txt"]


def test_features_that_are_the_input_are_not_deleted(base: Path, table: pd.DataFrame) -> None:
    give(base, table)
    assert job.main([]) == 0
    before = (output(base) / "features/part.parquet").read_bytes()
    assert job.main(["--input", str(output(base) / "features")]) == 1
    assert "which is written anew" in reason(base)
    assert (output(base) / "features/part.parquet").read_bytes() == before


# Where the program is killed: just before this is called, for the n-th time.
MOMENTS = {
    "the first rows": ("clary.tasks.recipe_job.features:_Writer.write", 1),
    "all rows are written": ("clary.tasks.recipe_job.features:_Writer.close", 1),
    "the old features were removed": ("pathlib:Path.replace", 1),
    "one share is in its place": ("pathlib:Path.replace", 2),
    "the model": ("tarfile:TarFile.add", 1),
}
KILLED = """
import importlib, os, signal, sys
module, _, path = sys.argv[1].partition(":")
holder, name = importlib.import_module(module), path
if "." in path:
    holder, name = getattr(holder, path.split(".")[0]), path.split(".")[1]
true, left = getattr(holder, name), [int(sys.argv[2])]
def counted(*arguments, **named):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return true(*arguments, **named)
setattr(holder, name, counted)
from clary.tasks.recipe_job import job
sys.exit(job.main(["--rows-per-file", "60"]))
"""


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_attempt_that_was_killed_is_nothing_to_the_next(base: Path, table: pd.DataFrame, moment: str) -> None:
    fitted = give(base, table, *STEPS, SPLIT)
    where, times = MOMENTS[moment]
    argv = [sys.executable, "-c", KILLED, where, str(times)]
    killed = subprocess.run(argv, capture_output=True, check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (output(base) / "model.tar.gz").exists()
    assert job.main(["--format", "csv", "--header"]) == 0, reason(base)
    shares = ("test", "train", "validation")
    assert files(output(base)) == [
        *(f"features/{share}/part.csv" for share in shares), "model.tar.gz", "recipe.clary", "told.json"
    ]  # fmt: skip
    assert [path.name for path in (base / "processing").iterdir() if path.name.startswith(".")] == []
    rows = sum(len(pd.read_csv(output(base) / "features" / share / "part.csv")) for share in shares)
    assert rows == len(fitted.transform(table, training=True))


# ---- options ----


def test_options_reach_the_program_unchanged() -> None:
    given = Options(
        recipe="r", input="i", output="o", read=("delimiter=;", "header=True"), format="csv", label="-y", header=True,
        rows_per_file=7, bad_rows="skip", profile=True, input_format="csv", allow_pickle=True,
    )  # fmt: skip
    folders = ["--recipe=r", "--input=i", "--output=o"]
    assert parse([*folders, *given.to_arguments()]) == given
    plain = Options(recipe="r", input="i", output="o")
    assert parse([*folders, *plain.to_arguments()]) == plain == parse(folders)


def test_every_option_is_one_of_the_command_too() -> None:
    flags = {flag for parameter in command.params for flag in parameter.opts}
    assert {option.flag for option in declared().values()} <= flags


def test_all_formats_that_are_written_can_be_chosen() -> None:
    assert set(FORMATS) == set(WRITTEN)
