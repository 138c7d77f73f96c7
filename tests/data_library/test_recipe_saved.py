"""Saved recipes: everything comes back, and nothing in a hostile file is run, built or believed."""

from __future__ import annotations

import io
import json
import math
import pickle
import sys
import typing
import zipfile
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clary.data.batch import Field, Kind, Schema
from clary.data.errors import DataError
from clary.data.recipe import FittedRecipe, FittedStep, Recipe
from clary.data.recipe.declare import same
from clary.data.recipe.saved import archive as saved
from clary.data.recipe.saved.classes import class_named
from clary.data.recipe.saved.renamed import Unpickler
from clary.data.recipe.saved.values import Reader, Writer
from clary.data.recipe.steps import all_steps
from tests.data_library.recipe_support import Centre, Forms, passengers, plain_rows, register

STEPS = [
    {"impute": {"columns": "numbers"}},
    {"scale": {"columns": ["n*"]}},
    {"expression": {"expression": "n0 * 2 + n1", "into": "both"}},
    {"ordinal": {"columns": ["c2"], "unknown": "missing"}},
    {"one_hot": {"columns": ["c*"]}},
]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return passengers(100)


@pytest.fixture(scope="module")
def fitted(frame: pd.DataFrame) -> FittedRecipe:
    return Recipe(STEPS, target="label", name="ship", description="a test").fit(frame)


def rewritten(path: Path, change: Any) -> Path:
    """The same archive with its recipe.json changed."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(files["recipe.json"])
    files["recipe.json"] = json.dumps(change(document) or document).encode()
    other = path.with_name("other.clary")
    with zipfile.ZipFile(other, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return other


@pytest.fixture
def path(fitted: FittedRecipe, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "recipe.clary")
    return tmp_path / "recipe.clary"


# ---- what is saved comes back ----


def test_a_recipe_that_was_saved_does_the_same(frame, fitted, path):
    loaded = FittedRecipe.load(path)
    assert loaded.recipe == fitted.recipe
    assert loaded.recipe.hash == fitted.recipe.hash
    assert (loaded.recipe.name, loaded.recipe.description) == ("ship", "a test")
    assert loaded.columns.equals(fitted.columns)
    assert loaded.rows == 100
    assert loaded.step_notes == fitted.step_notes
    pd.testing.assert_frame_equal(loaded.transform(frame), fitted.transform(frame))
    for row in plain_rows(frame)[:20]:
        assert repr(loaded.transform_row(row)) == repr(fitted.transform_row(row))


def test_the_same_recipe_gives_the_same_bytes(fitted, path, tmp_path):
    FittedRecipe.load(path).save(tmp_path / "again.clary")
    assert (tmp_path / "again.clary").read_bytes() == path.read_bytes()


def test_no_step_of_plain_values_needs_pickle(path):
    with zipfile.ZipFile(path) as archive:
        assert all(name == "recipe.json" or name.startswith("arrays/") for name in archive.namelist())


def test_training_only_steps_come_back_too(frame, tmp_path):
    fitted = Recipe([{"filter": {"expression": "whole > 1"}}, {"scale": {"columns": "n0"}}], target="label").fit(frame)
    fitted.save(tmp_path / "r.clary")
    loaded = FittedRecipe.load(tmp_path / "r.clary")
    pd.testing.assert_frame_equal(loaded.transform(frame, training=True), fitted.transform(frame, training=True))


def test_it_is_whole_or_not_there(fitted, tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        fitted.save(tmp_path / "absent" / "recipe.clary")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        fitted.save(tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


# ---- files of the version before, in the folder `saved` ----

SAVED = Path(__file__).with_name("saved")
CLASSES = json.loads((SAVED / "version_0_1_classes.json").read_text())


def test_a_file_of_version_0_1_gives_the_same_features():
    loaded = FittedRecipe.load(SAVED / "version_0_1.clary")
    image = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(image, "PNG")
    row = {"a": 0.1257302210933933, "b": 0.9034701816518086, "same": 1.0, "c": "x", "photo": image.getvalue()}
    row["clip"] = np.sin(np.arange(400) / 20).tolist()
    expected = [0.9034701816518086, 1.0, 0.0, 0.0, 0.5677885238863201]  # b, c_x, c_y, c_z, both
    expected += [8.0, 8.0, 1.0, 31.5, 18.472953201911167, 0.0, 63.0, 6.0, 16.25, 0.0]  # the image's statistics
    expected += [0.15342994276785366, 0.9881595267066471, 0.0] * 4  # its histograms of oriented gradients
    expected += [-160.81475140553525, 53.301756363391405, 42.68433396309598]  # MFCC: mean, std, mean, …
    expected += [11.429130615257188, 31.522647412068515, 13.458033466991449]
    np.testing.assert_allclose(loaded.transform_row(row), expected, rtol=1e-9)
    assert loaded.step_notes["3 (select_variance)"][0] == "1 of 3 columns were dropped."


def test_a_pickled_recipe_of_version_0_1_finds_its_steps():
    """A recipe with a Python function is pickled, with all of its steps' classes."""
    loaded = FittedRecipe.load(SAVED / "version_0_1_function.clary", allow_pickle=True)
    assert [step.name for step in loaded.recipe.steps] == ["function", "rare", "select_variance"]
    assert loaded.transform_row({"a": 2.0, "b": 1.0, "c": "x"}) == (-2.0, 1.0, "x")


@pytest.mark.parametrize("name", CLASSES["fitted"])
def test_a_fitted_step_of_version_0_1_has_its_class_and_its_fields(name):
    kind = class_named(name)
    assert issubclass(kind, FittedStep)
    assert [field.name for field in dataclass_fields(kind) if field.init] == CLASSES["fitted"][name]


@pytest.mark.parametrize("name", CLASSES["steps"])
def test_a_step_of_version_0_1_is_found_by_its_class(name):
    module, _, kind = CLASSES["steps"][name].partition(":")
    pickled = f"cclary.data.recipe.steps.{module}\n{kind}\n.".encode()
    assert Unpickler(io.BytesIO(pickled)).load() is all_steps()[name]


# ---- what only pickle can hold ----


def test_estimators_are_loaded_only_where_that_is_allowed(frame, tmp_path):
    fitted = Recipe([{"impute": {"columns": "numbers", "strategy": "knn"}}], target="label").fit(frame)
    fitted.save(tmp_path / "knn.clary")
    with pytest.raises(DataError, match=r"knn\.clary.*unpickling runs code; .*allow_pickle=True"):
        FittedRecipe.load(tmp_path / "knn.clary")
    loaded = FittedRecipe.load(tmp_path / "knn.clary", allow_pickle=True)
    pd.testing.assert_frame_equal(loaded.transform(frame), fitted.transform(frame))


def test_steps_of_somebodys_own_are_pickled(frame, tmp_path):
    fitted = Recipe([Centre(columns=("n0",))], target="label").fit(frame)
    fitted.save(tmp_path / "own.clary")
    with pytest.raises(DataError, match="unpickling runs code"):
        FittedRecipe.load(tmp_path / "own.clary")
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        loaded = FittedRecipe.load(tmp_path / "own.clary", allow_pickle=True)
    assert loaded.steps == fitted.steps


def doubled(table: pd.DataFrame) -> pd.DataFrame:
    return table * 2


def test_functions_given_in_python_come_back_where_that_is_allowed(frame, tmp_path):
    fitted = Recipe([{"function": {"function": doubled, "columns": ["n0"]}}], target="label").fit(frame)
    fitted.save(tmp_path / "own.clary")
    with pytest.raises(DataError, match="unpickling runs code"):
        FittedRecipe.load(tmp_path / "own.clary")
    loaded = FittedRecipe.load(tmp_path / "own.clary", allow_pickle=True)
    np.testing.assert_array_equal(loaded.transform(frame)["n0"], frame["n0"] * 2)


def test_a_function_that_cannot_be_pickled_is_reported(frame, tmp_path):
    fitted = Recipe([Forms(function=lambda table: table)], target="label").fit(frame)
    with pytest.raises(DataError, match=r"cannot be saved: .*not a lambda"):
        fitted.save(tmp_path / "lambda.clary")
    assert list(tmp_path.iterdir()) == []


class Bomb:
    """Unpickling it would make a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (self.path, "w")


@pytest.mark.parametrize("name", ["estimators.pkl", "arrays/0.npy", "recipe.json"])
def test_a_pickle_in_a_hostile_file_is_never_read(path, tmp_path, name):
    touched = tmp_path / "touched"
    with zipfile.ZipFile(path) as archive:
        files = {member: archive.read(member) for member in archive.namelist()}
    files[name] = pickle.dumps(Bomb(str(touched)))
    files["arrays/0.npy"] = files.get("arrays/0.npy", b"")
    evil = tmp_path / "evil.clary"
    with zipfile.ZipFile(evil, "w") as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    if name == "arrays/0.npy":
        evil = rewritten(evil, lambda file: file["steps"][0]["object"][1].update(fills={"array": "arrays/0.npy"}))
    with pytest.raises(DataError):
        FittedRecipe.load(evil)
    assert not touched.exists()


def test_an_array_of_objects_is_not_read(path, tmp_path):
    made = io.BytesIO()
    np.save(made, np.array([Bomb(str(tmp_path / "touched"))], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("arrays/99.npy", made.getvalue())
    evil = rewritten(path, lambda file: file["steps"][0]["object"][1].update(fills={"array": "arrays/99.npy"}))
    with pytest.raises(DataError):
        FittedRecipe.load(evil)
    assert not (tmp_path / "touched").exists()


# ---- hostile declarations ----


def fields(document: dict[str, Any], step: int = 0) -> dict[str, Any]:
    return document["steps"][step]["object"][1]


HOSTILE = {
    "no recipe": lambda file: file.update(clary="something else"),
    "another version": lambda file: file.update(version=99),
    "a class from elsewhere": lambda file: file["steps"][0]["object"].__setitem__(0, "os:system"),
    "a class by path": lambda file: file["steps"][0]["object"].__setitem__(0, "../../os:system"),
    "a function of a step's module": lambda file: file["steps"][0]["object"].__setitem__(0, "imputed:estimated"),
    "a class that the module imported": lambda file: file["steps"][0]["object"].__setitem__(0, "imputed:Batch"),
    "a step that is a field": lambda file: file["steps"].__setitem__(0, {"field": ["a", "number", [], False]}),
    "a step that is a step's part": lambda file: file["steps"].__setitem__(
        0, {"object": ["one_hot:Hot", {"width": 1}]}
    ),
    "a step that is text": lambda file: file["steps"].__setitem__(0, "scale"),
    "a field too few": lambda file: fields(file).pop("fills"),
    "a field too many": lambda file: fields(file).update(more=1),
    "a field of another type": lambda file: fields(file).update(names=3),
    "texts that are numbers": lambda file: fields(file).update(names={"tuple": [1, 2]}),
    "an unknown form": lambda file: fields(file).update(fills={"exec": "1"}),
    "two forms": lambda file: fields(file).update(fills={"tuple": [], "list": []}),
    "a file that is not there": lambda file: fields(file).update(fills={"array": "arrays/7000.npy"}),
    "a file outside": lambda file: fields(file).update(fills={"array": "/etc/passwd"}),
    "a pickled value": lambda file: fields(file).update(fills={"pickled": 0}),
    "a pickled value from the end": lambda file: fields(file).update(fills={"pickled": -1}),
    "a module for a ufunc": lambda file: fields(file).update(fills={"ufunc": "os"}),
    "a loader for a ufunc": lambda file: fields(file).update(fills={"ufunc": "load"}),
    "columns without types": lambda file: file.update(columns=[["n0", 3]]),
    "columns that are none": lambda file: file.update(columns=3),
    "fewer steps": lambda file: file["steps"].pop(),
    "rows that are none": lambda file: file.update(rows="all"),
    "steps of other columns": lambda file: fields(file).update(names={"tuple": ["x"] * 6}),
    "fewer fills than names": lambda file: fields(file).update(fills={"tuple": []}),
    "no steps": lambda file: file.pop("steps"),
    "a recipe that is wrong": lambda file: file["recipe"].update(steps=["nothing"]),
    "an expression that is code": lambda file: fields(file, 2).update(expression="__import__('os').system('true')"),
    "an expression of the inside": lambda file: fields(file, 2).update(expression="n0.__class__"),
    "a list": lambda file: [file],
    "a number": lambda file: 3,
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_declaration_is_a_data_error(path, change):
    evil = rewritten(path, change)
    with pytest.raises(DataError, match=r"other.clary"):
        FittedRecipe.load(evil)


# ---- hostile archives ----


@pytest.mark.parametrize("data", [b"", b"PK", b"steps: []", b"\x80\x04.", b"PK\x05\x06" + b"\x00" * 18])
def test_what_is_no_archive_is_reported(tmp_path, data):
    (tmp_path / "recipe.clary").write_bytes(data)
    with pytest.raises(DataError, match=r"recipe.clary"):
        FittedRecipe.load(tmp_path / "recipe.clary")


def test_what_is_not_there_is_reported(tmp_path):
    for where in (tmp_path / "absent.clary", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            FittedRecipe.load(where)


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(saved, "MOST_BYTES", 100_000)
    bomb = tmp_path / "bomb.clary"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("recipe.json", b" " * 1_000_000)
    assert bomb.stat().st_size < 5_000
    with pytest.raises(DataError, match="unpacks to more than"):
        FittedRecipe.load(bomb)


def test_a_deep_declaration_is_reported(tmp_path):
    deep = tmp_path / "deep.clary"
    with zipfile.ZipFile(deep, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("recipe.json", "[" * 200_000)
    with pytest.raises(DataError, match=r"deep.clary"):
        FittedRecipe.load(deep)


def test_an_array_that_claims_to_be_huge_is_reported(path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("arrays/99.npy", head.getvalue())
    evil = rewritten(path, lambda file: fields(file).update(fills={"array": "arrays/99.npy"}))
    with pytest.raises(DataError):
        FittedRecipe.load(evil)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_damage_is_a_data_error_or_none_at_all(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    fitted = Recipe([{"scale": {"columns": "n0"}}]).fit(passengers(20)[["n0", "n1"]])
    fitted.save(folder / "r.clary")
    content = bytearray((folder / "r.clary").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "r.clary").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        FittedRecipe.load(folder / "r.clary")
    except DataError:
        return


# ---- values ----

VALUES: list[Any] = [
    None,
    True,
    3,
    -0.0,
    math.inf,
    -math.inf,
    math.nan,
    "text \ud800",
    b"\x00\xff",
    (1, (2.0, "a")),
    [1, [None]],
    {"a": 1, 2: (3,)},
    frozenset({"a", "b"}),
    Kind.TEXT,
    Field("a", Kind.BLOCK, ("x", "y"), True),
    Schema((Field("a", Kind.NUMBER),)),
    np.arange(6, dtype=np.int32).reshape(2, 3),
    np.array(["a", "bc"]),
    np.array(["2024-01-01", "NaT"], "datetime64[us]"),
    np.empty((0, 3)),
    np.float64(1.5),
    np.datetime64("2024-01-01", "us"),
    np.log1p,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was(value):
    writer = Writer()
    document = json.loads(json.dumps(writer.to_json(value)))
    loaded = Reader(writer.files.__getitem__, []).value(document)
    assert writer.opaque == []
    assert type(loaded) is type(value)
    assert same(loaded, value) or repr(loaded) == repr(value)
    assert not isinstance(value, np.ndarray) or (loaded.dtype == value.dtype and loaded.shape == value.shape)


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["a", None, "ü"]),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array([[1], None]),
        pa.array([], pa.string()),
        pa.array([1.5, None]),
        pa.array(["a", "b", "c"]).slice(1),
    ],
)
def test_an_arrow_array_comes_back_as_it_was(array):
    writer = Writer()
    document = json.loads(json.dumps(writer.to_json(array)))
    loaded = Reader(writer.files.__getitem__, []).value(document)
    assert loaded.equals(array)
    assert loaded.type == array.type


def test_a_sparse_matrix_comes_back_as_it_was():
    from scipy.sparse import csr_matrix

    matrix = csr_matrix(np.diag([1.0, 0.0, 2.0]))
    writer = Writer()
    loaded = Reader(writer.files.__getitem__, []).value(json.loads(json.dumps(writer.to_json(matrix))))
    assert (loaded != matrix).nnz == 0


def test_every_class_that_may_be_saved_has_fields_whose_types_can_be_checked():
    all_steps()
    modules = [sys.modules[name] for name in list(sys.modules) if name.startswith("clary.data.recipe.steps.")]
    classes = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    found = {kind for kind in classes if is_dataclass(kind) and kind.__module__.startswith("clary.data.recipe.steps.")}
    assert sum(issubclass(kind, FittedStep) for kind in found) > 20
    for kind in found:
        assert typing.get_type_hints(kind).keys() >= {field.name for field in dataclass_fields(kind)}
