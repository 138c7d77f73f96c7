"""A fitted recipe's handlers: raw rows in each form, features in each form, bit for bit those of the batch."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.algorithms.data import ALGORITHM
from clary.data.errors import DataError
from clary.data.recipe import FittedRecipe, Recipe
from clary.formats.recordio import parse_record, records
from clary.tasks.host.handlers import RequestError
from clary.tasks.recipe import serving
from clary.tasks.recipe.responses import response_type
from clary.tasks.recipe.serving import Options, RecipeHandlers
from tests.programs.running import opt_ml, started

CITIES = ["Köln", "Paris, France", 'the "other"', "Oslo\nNorth", ""]
STEPS = [
    {"impute": {"columns": ["age"], "strategy": "median"}},
    {"log1p": {"columns": ["fare"]}},
    {"scale": {"columns": ["age", "fare"]}},
    {"rare": {"columns": ["city"], "min_count": 5}},
    {"one_hot": {"columns": ["city"]}},
    {"tf_idf": {"columns": ["words"]}},
    {"date_parts": {"columns": ["when"]}},
]


def a_table(n: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "age": random.normal(40, 12, n),
            "label": random.integers(0, 2, n),
            "fare": random.lognormal(3, 1, n),
            "city": random.choice(CITIES[:4], n),
            "words": [" ".join(random.choice(["red", "green", "blue"], 3)) for _ in range(n)],
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 10**6, n), unit="min"),
            "old": random.random(n) < 0.5,
        }
    )
    table.loc[::9, "age"] = np.nan
    table.loc[::11, "city"] = None
    return table


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return a_table()


@pytest.fixture(scope="module")
def fitted(table: pd.DataFrame) -> FittedRecipe:
    return Recipe(STEPS, target="label").fit(table)


@pytest.fixture(scope="module")
def folder(fitted: FittedRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    fitted.save(made / "recipe.clary")
    return made


@pytest.fixture(scope="module")
def raw(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="label")


@pytest.fixture(scope="module")
def expected(fitted: FittedRecipe, raw: pd.DataFrame) -> Any:
    return fitted.transform(raw).to_numpy(dtype=np.float64)


class Endpoint:
    """A recipe behind its handlers."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.handlers = RecipeHandlers(Options.from_environment(environment))
        self.model = self.handlers.load(folder)

    def invoke(self, body: str | bytes, content_type: str | None = "text/csv", accept: str | None = None) -> bytes:
        body = body.encode() if isinstance(body, str) else body
        return self.handlers.transform(self.model, body, content_type, accept)[0]

    def numbers(self, body: str | bytes, content_type: str | None = "text/csv") -> Any:
        return numbers_in(self.invoke(body, content_type))


def numbers_in(response: bytes) -> Any:
    rows = csv.reader(io.StringIO(response.decode()))
    return np.array([[float(value or "nan") for value in row] for row in rows])


@pytest.fixture(scope="module")
def endpoint(folder: Path) -> Endpoint:
    return Endpoint(folder)


def records_of(raw: pd.DataFrame) -> list[dict[str, Any]]:
    text = raw.assign(when=raw["when"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return text.astype(object).where(text.notna(), None).to_dict("records")


# ---- requests ----


def in_forms(raw: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Name -> (body, content type)."""
    rows = records_of(raw)
    lists = [list(row.values()) for row in rows]
    return {
        "csv": (raw.to_csv(index=False, header=False), "text/csv"),
        "csv with header": (raw.to_csv(index=False), "text/csv; header=present"),
        "csv in another order": (raw[raw.columns[::-1]].to_csv(index=False), "text/csv; charset=utf-8; header=present"),
        "csv of Windows": (raw.to_csv(index=False, header=False, lineterminator="\r\n"), "text/csv"),
        "objects": (json.dumps(rows), "application/json"),
        "lists": (json.dumps(lists), "application/json"),
        "instances of objects": (json.dumps({"instances": rows}), "application/json"),
        "instances of features": (json.dumps({"instances": [{"features": row} for row in lists]}), "application/json"),
        "named features": (json.dumps({"instances": [{"features": row} for row in rows]}), "application/json"),
        "SageMaker's long form": (
            json.dumps({"instances": [{"data": {"features": {"values": row}}} for row in lists]}),
            "application/json",
        ),
        "data": (json.dumps({"data": lists}), "application/json; charset=utf-8"),
        "lines": ("\n".join(map(json.dumps, rows)), "application/jsonlines"),
        "lines of features": ("".join(f'{{"features": {json.dumps(row)}}}\n' for row in lists), "application/jsonl"),
        "no content type, csv": (raw.to_csv(index=False, header=False), ""),
        "no content type, json": (json.dumps(rows), ""),
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 5, 300])
def test_every_form_gives_the_features_of_the_batch(endpoint, raw, expected, count):
    for form, (body, content_type) in in_forms(raw.head(count)).items():
        np.testing.assert_array_equal(endpoint.numbers(body, content_type or None), expected[:count], form)


def test_each_row_alone_is_as_it_is_among_others(endpoint, raw, expected):
    for number, row in enumerate(records_of(raw)):
        np.testing.assert_array_equal(endpoint.numbers(json.dumps(row), "application/json")[0], expected[number])


def test_one_row_may_come_without_a_list_around_it(endpoint, raw, expected):
    row = records_of(raw.iloc[[3]])[0]
    values = list(row.values())
    forms = [
        row,
        values,
        {"features": row},
        {"features": values},
        {"data": values},
        {"data": {"features": {"values": values}}},
        {"instances": values},
    ]
    for form in forms:
        np.testing.assert_array_equal(endpoint.numbers(json.dumps(form), "application/json"), expected[[3]], str(form))


def test_many_rows_go_as_a_table_and_are_the_same(endpoint, raw, expected, monkeypatch):
    body = json.dumps(records_of(raw))
    responses = []
    for least in (1, 10**9):
        monkeypatch.setattr(serving, "TABLE_ROWS", least)
        responses.append(endpoint.invoke(body, "application/json"))
    assert responses[0] == responses[1]


VALUES = st.fixed_dictionaries(
    {
        "age": st.one_of(st.none(), st.floats(-1e300, 1e300), st.integers(-(10**15), 10**15)),
        "fare": st.one_of(st.none(), st.floats(0, 1e300)),
        "city": st.one_of(st.none(), st.sampled_from(CITIES), st.text(max_size=5)),
        "words": st.one_of(st.none(), st.text(max_size=20), st.just("red red blue")),
        "when": st.one_of(st.none(), st.datetimes().map(lambda time: time.isoformat())),
        "old": st.one_of(st.none(), st.booleans(), st.sampled_from([0, 1])),
    }
)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(VALUES, min_size=2, max_size=6))
def test_any_row_is_the_same_alone_and_in_a_table(endpoint, rows):
    alone = [endpoint.invoke(json.dumps(row), "application/json") for row in rows]
    together = serving.encode(serving._as_table(endpoint.model, rows), "text/csv")
    assert together == b"".join(alone)


def test_csv_has_a_header_where_the_environment_declares_it(folder, raw, expected):
    endpoint = Endpoint(folder, CLARY_CSV_HEADER="present")
    np.testing.assert_array_equal(endpoint.numbers(raw.to_csv(index=False)), expected)
    without = endpoint.numbers(raw.to_csv(index=False, header=False), "text/csv; header=absent")
    np.testing.assert_array_equal(without, expected)


def test_a_column_named_like_a_key_of_sagemakers_json_is_a_column(tmp_path):
    table = pd.DataFrame({"features": [1.0, 2.0, 3.0]})
    Recipe([{"scale": {"columns": ["features"], "method": "min_max"}}]).fit(table).save(tmp_path / "recipe.clary")
    endpoint = Endpoint(tmp_path)
    assert endpoint.invoke('{"features": 2.0}', "application/json") == b"0.5\n"
    assert endpoint.invoke('[{"features": 2.0}, {"features": 3.0}]', "application/json") == b"0.5\n1.0\n"
    assert endpoint.invoke('{"instances": [[2.0], [3.0]]}', "application/json") == b"0.5\n1.0\n"


# ---- responses ----


def test_features_go_out_as_json(endpoint, raw, expected):
    body = raw.head(3).to_csv(index=False, header=False)
    whole = json.loads(endpoint.invoke(body, accept="application/json"))
    lines = [json.loads(line) for line in endpoint.invoke(body, accept="application/jsonlines").splitlines()]
    assert whole == {"instances": lines}
    got = [[np.nan if value is None else value for value in line["features"]] for line in lines]
    np.testing.assert_array_equal(np.array(got), expected[:3])


def test_features_go_out_as_recordio(endpoint, raw, expected):
    body = raw.to_csv(index=False, header=False)
    response = endpoint.invoke(body, accept="application/x-recordio-protobuf")
    got = [parse_record(record)[0]["values"][0] for record in records(response)]
    np.testing.assert_array_equal(np.array(got), expected.astype(np.float32))


def test_text_that_stays_goes_out_quoted_and_missing_as_nothing(tmp_path):
    table = pd.DataFrame({"x": [1.0, 2.0], "word": ['a,"b"', "c"]})
    Recipe([{"scale": {"columns": ["x"], "method": "min_max"}}]).fit(table).save(tmp_path / "recipe.clary")
    endpoint = Endpoint(tmp_path)
    body = json.dumps([{"x": 1, "word": 'a,"b"'}, {"x": None, "word": None}])
    assert endpoint.invoke(body, "application/json") == b'0.0,"a,""b"""\n,\n'
    response = json.loads(endpoint.invoke(body, "application/json", "application/json"))
    assert response == {"instances": [{"features": [0.0, 'a,"b"']}, {"features": [None, None]}]}
    with pytest.raises(RequestError) as refused:
        endpoint.invoke(body, "application/json", "application/x-recordio-protobuf")
    assert refused.value.status == 406


@pytest.mark.parametrize(
    ("accept", "environment", "expected"),
    [
        (None, {}, "text/csv"),
        ("*/*", {}, "text/csv"),
        (None, {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "application/json"}, "application/json"),
        ("text/html, application/jsonlines;q=0.5, */*;q=0.1", {}, "application/jsonlines"),
    ],
)
def test_the_response_is_of_the_accepted_type(folder, raw, accept, environment, expected):
    endpoint = Endpoint(folder, **environment)
    body = raw.head(1).to_csv(index=False, header=False).encode()
    assert endpoint.handlers.transform(endpoint.model, body, "text/csv", accept)[1] == expected


def test_every_declared_content_type_is_read_and_response_type_given(folder):
    endpoint = Endpoint(folder)
    for content_type in ALGORITHM.content_types:
        with pytest.raises(RequestError) as error:
            endpoint.invoke(b"", content_type)
        assert error.value.status == 400, content_type
    assert {response_type(name, "") for name in ALGORITHM.response_types} == set(ALGORITHM.response_types)


def test_an_infinite_feature_is_not_made_up_in_json(tmp_path):
    Recipe([{"scale": {}}]).fit(pd.DataFrame({"x": [1.0, 2.0]})).save(tmp_path / "recipe.clary")
    endpoint = Endpoint(tmp_path)
    assert endpoint.invoke('[["inf"]]', "application/json") == b"inf\n"
    with pytest.raises(RequestError, match="infinite"):
        endpoint.invoke('[["inf"]]', "application/json", "application/json")


# ---- errors ----


@pytest.mark.parametrize(
    ("body", "content_type", "status", "fragment"),
    [
        (b"", "text/csv", 400, "no row"),
        (b"\n\n", "text/csv", 400, "no row"),
        (b"age\n", "text/csv; header=present", 400, "no row"),
        (b"[]", "application/json", 400, "no row"),
        (b"1,2", "text/csv", 400, "the row has 2 values; 6 are wanted"),
        (b"x,1,a,b,2024-01-01,1", "text/csv", 400, "column 'age': 'x' (str) is not a number"),
        (b"1,1,a,b,yesterday,1", "text/csv", 400, "column 'when'"),
        (b'1,2,"a', "text/csv", 400, "cannot be read as text/csv"),
        (b"age,age\n1,2\n", "text/csv; header=present", 400, "'age' twice"),
        (b"age,fare\n1\n", "text/csv; header=present", 400, "row 1 has 1 values, the header 2"),
        (b"age,fare\n1,2\n", "text/csv; header=present", 400, "no column 'city', 'words', 'when', 'old'"),
        (b"1", "text/csv; header=maybe", 415, "neither present nor absent"),
        (b"{", "application/json", 400, "cannot be read as application/json"),
        (b"7", "application/json", 400, "must be a list of rows"),
        (b'[{"age": 1}, 7]', "application/json", 400, "a row is an object or a list, not 7"),
        (b'{"instances": 3}', "application/json", 400, "instances must be a list"),
        (b'{"age": {"a": 1}}', "application/json", 400, "no column"),
        (b"[" * 100_000, "application/json", 400, "cannot be read"),
        (b'{"age": 1}\nnope\n', "application/jsonlines", 400, "line 2"),
        (b"\xff\xfe", "text/csv", 400, "cannot be read"),
        (b"<a/>", "application/xml", 415, "is not supported"),
    ],
)
def test_what_cannot_be_read_is_refused(endpoint, body, content_type, status, fragment):
    with pytest.raises(RequestError) as refused:
        endpoint.invoke(body, content_type)
    assert refused.value.status == status
    assert fragment in refused.value.message


@pytest.mark.parametrize("count", [3, 400])
def test_the_row_at_fault_is_named(endpoint, raw, count):
    rows = (records_of(raw) * 2)[:count]
    rows[1] = rows[1] | {"age": "old"}
    with pytest.raises(RequestError, match="row 2: column 'age'"):
        endpoint.invoke(json.dumps(rows), "application/json")


def test_an_answer_of_an_unknown_type_is_refused(endpoint, raw):
    with pytest.raises(RequestError) as refused:
        endpoint.invoke(raw.head(1).to_csv(index=False, header=False), accept="image/png")
    assert refused.value.status == 406


def test_steps_that_fill_from_earlier_rows_see_the_rows_of_their_request(tmp_path):
    table = pd.DataFrame({"x": [1.0, np.nan, 3.0]})
    recipe = Recipe([{"impute": {"columns": ["x"], "strategy": "forward_fill"}}])
    recipe.fit(table).save(tmp_path / "recipe.clary")
    endpoint = Endpoint(tmp_path)
    assert endpoint.invoke("[[5], [null], [null]]", "application/json") == b"5.0\n5.0\n5.0\n"


# ---- the file ----


def test_a_folder_without_a_recipe_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"recipe\.clary; found: none"):
        RecipeHandlers(Options()).load(tmp_path)


def test_a_recipe_that_would_run_code_needs_permission(tmp_path, table):
    steps = [{"sklearn": {"transformer": "sklearn.preprocessing.SplineTransformer", "columns": ["fare"]}}]
    fitted = Recipe(steps).fit(table[["fare"]])
    fitted.save(tmp_path / "any.clary")
    with pytest.raises(DataError, match="pickle"):
        RecipeHandlers(Options()).load(tmp_path)
    endpoint = Endpoint(tmp_path, CLARY_ALLOW_PICKLE="true")
    expected = fitted.transform(table[["fare"]]).to_numpy(dtype=np.float64)
    np.testing.assert_array_equal(endpoint.numbers(table[["fare"]].to_csv(index=False, header=False)), expected)


def test_an_invalid_environment_variable_is_reported():
    with pytest.raises(ValueError, match="SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"):
        Options.from_environment({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/html"})


# ---- the program ----


def test_the_image_serves(tmp_path, fitted, raw, expected):
    base = opt_ml(tmp_path)
    fitted.save(base / "model" / "recipe.clary")
    with started(["-m", "clary.tasks.recipe_job", "serve"], base) as host:
        assert host.ping().status == 200
        response = host.invoke(raw.to_csv(index=False, header=False).encode(), content_type="text/csv")
        assert response.content_type == "text/csv"
        np.testing.assert_array_equal(numbers_in(response.body), expected)
        assert host.invoke(b"1", content_type="text/csv").status == 400
        assert host.invoke(path="/execution-parameters", method="GET").status == 200
        assert host.end() == 0
