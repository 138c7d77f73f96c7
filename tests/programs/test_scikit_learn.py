"""The scikit-learn image: a script trained and invoked as AWS's SDK does it; and the formats that it has by default."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from clary.formats.media_types import accepted, media_type
from clary.tasks.host import codecs
from clary.tasks.host.handlers import RequestError
from tests.programs.running import Host, opt_ml, run, started, wheel

SCRIPT = """
import argparse, os
import joblib

def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))

if __name__ == "__main__":
    import numpy as np
    from sklearn.linear_model import Ridge
    parser = argparse.ArgumentParser()
    parser.add_argument("--alpha", type=float)
    parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
    given = parser.parse_args()
    table = np.loadtxt(os.path.join(given.train, "train.csv"), delimiter=",")
    joblib.dump(Ridge(given.alpha).fit(table[:, 1:], table[:, 0]), os.path.join(given.model_dir, "model.joblib"))
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that has trained y = 2a + 3b."""
    base = opt_ml(
        tmp_path_factory.mktemp("ml"),
        {"alpha": "1e-9", "sagemaker_program": '"train.py"'},
        inputdataconfig={"train": {"TrainingInputMode": "File"}},
    )
    (base / "code").mkdir()
    (base / "code" / "train.py").write_text(SCRIPT)
    (base / "input" / "data" / "train").mkdir(parents=True)
    (base / "input" / "data" / "train" / "train.csv").write_text("5,1,1\n8,1,2\n7,2,1\n0,0,0\n")
    result = run(base, "clary.tasks.scikit_learn", "train")
    assert result.returncode == 0, result.stderr
    return base


@pytest.fixture(scope="module")
def host(base: Path) -> Iterator[Host]:
    with serving(base, SAGEMAKER_PROGRAM="train.py", SAGEMAKER_SUBMIT_DIRECTORY="/opt/ml/code") as host:
        yield host


def serving(base: Path, **variables: str) -> Any:
    return started(["-m", "clary.tasks.scikit_learn", "serve"], base, **variables)


def test_it_predicts_from_csv_and_answers_json(host: Host) -> None:
    response = host.invoke(b"1,1\n10,0\n", content_type="text/csv")
    assert (response.status, response.content_type) == (200, "application/json")
    assert json.loads(response.body) == pytest.approx([5, 20], abs=1e-3)


def test_one_row_is_one_instance(host: Host) -> None:
    assert json.loads(host.invoke(b"1,1", content_type="text/csv").body) == pytest.approx([5], abs=1e-3)


def test_json_in_csv_out(host: Host) -> None:
    response = host.invoke(b"[[1, 1], [0, 1]]", content_type="application/json", accept="text/csv")
    assert response.content_type == "text/csv"
    assert [float(line) for line in response.text.split()] == pytest.approx([5, 3], abs=1e-3)


def test_npy_both_ways_as_the_sdk_asks(host: Host) -> None:
    body = io.BytesIO()
    np.save(body, np.array([[2.0, 2.0]]))
    response = host.invoke(body.getvalue(), content_type="application/x-npy", accept="application/x-npy")
    assert np.load(io.BytesIO(response.body)) == pytest.approx([10], abs=1e-3)


@pytest.mark.parametrize(
    ("body", "headers", "status", "fragment"),
    [
        (b"x", {"content_type": "image/png"}, 415, "Content type image/png is not supported"),
        (b"1,1", {"content_type": "text/csv", "accept": "image/png"}, 406, "Accept image/png is not supported"),
        (b"1,a", {"content_type": "text/csv"}, 400, "could not convert string to float: 'a'"),
        (b"1,2,3", {"content_type": "text/csv"}, 500, "features"),
    ],
)
def test_requests_that_cannot_be_answered_are_reported(
    host: Host, body: bytes, headers: dict[str, str], status: int, fragment: str
) -> None:
    response = host.invoke(body, **headers)
    assert response.status == status
    assert fragment in response.text


def test_code_packed_with_the_model_is_found(base: Path, tmp_path: Path) -> None:
    opt_ml(tmp_path)
    (tmp_path / "model" / "code").mkdir()
    (tmp_path / "model" / "code" / "inference.py").write_text(
        "def model_fn(d): return d\ndef predict_fn(x, m): return m\n"
    )
    with serving(tmp_path) as host:
        assert json.loads(host.invoke(b"1", content_type="text/csv").body) == str(tmp_path / "model")


def test_a_script_without_model_fn_ends_with_a_remedy(tmp_path: Path) -> None:
    opt_ml(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("")
    with serving(tmp_path, SAGEMAKER_PROGRAM="train.py") as host:
        assert host.process.wait(20) == 1
        assert "train.py has no model_fn" in host.log.read_text()


def test_requirements_are_there_when_the_script_is_imported(tmp_path: Path) -> None:
    opt_ml(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "requirements.txt").write_text(str(wheel(tmp_path, "needed_by_it", "number = 7")))
    (tmp_path / "code" / "inference.py").write_text(
        "import needed_by_it\ndef model_fn(d): return 1\ndef predict_fn(x, m): return needed_by_it.number\n"
    )
    with serving(tmp_path, PIP_NO_INDEX="1") as host:
        assert host.invoke(b"1", content_type="text/csv").body == b"7"


def test_a_wrong_command_line_is_reported(tmp_path: Path) -> None:
    result = run(opt_ml(tmp_path), "clary.tasks.scikit_learn", "sing")
    assert result.returncode == 2
    assert "give train or serve, not 'sing'" in result.stderr


@pytest.mark.parametrize(
    ("body", "content_type", "rows"),
    [
        ("1,2\n3,4\n", "text/csv", [[1, 2], [3, 4]]),
        ('"1","2"\r\n', "text/csv; charset=utf-8", [[1, 2]]),
        ("1\n2\n", "text/csv", [[1], [2]]),
        ("1,\n,4\n\n", "text/csv", [[1, np.nan], [np.nan, 4]]),
        ("[[1, 2]]", "application/json", [[1, 2]]),
    ],
)
def test_text_becomes_rows_of_float32(body: str, content_type: str, rows: list[list[float]]) -> None:
    data = codecs.decode(body, content_type)
    assert data.dtype == np.float32
    np.testing.assert_array_equal(data, rows)


def test_scripts_of_awss_image_get_one_row_as_a_vector() -> None:
    assert codecs.decode_squeezed("1,2\n", "text/csv").shape == (2,)
    assert codecs.decode_squeezed("[[1, 2]]", "application/json").shape == (1, 2)


def test_npz_is_a_sparse_matrix() -> None:
    body = io.BytesIO()
    scipy.sparse.save_npz(body, scipy.sparse.eye_array(3, format="csr"))
    assert codecs.decode(body.getvalue(), "application/x-npz").toarray().tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("", "text/csv"),
        ("1,2\n3\n", "text/csv"),
        ("[[1], [2, 3]]", "application/json"),
        ("{", "application/json"),
        ('{"instances": [1]}', "application/json"),
        ("[" * 100_000, "application/json"),
        (b"", "application/x-npy"),
        (b"\x80\x04N.", "application/x-npy"),
        (b"PK\x03\x04", "application/x-npz"),
    ],
)
def test_a_body_not_of_its_content_type_is_refused(body: Any, content_type: str) -> None:
    with pytest.raises(RequestError, match=f"cannot be read as {content_type}") as refused:
        codecs.decode(body, content_type)
    assert refused.value.status == 400


def test_a_pickle_inside_npy_is_not_loaded() -> None:
    body = io.BytesIO()
    np.save(body, np.array([{}]), allow_pickle=True)
    with pytest.raises(RequestError, match="allow_pickle=False"):
        codecs.decode(body.getvalue(), "application/x-npy")


def test_one_instance_needs_no_brackets() -> None:
    model = SimpleNamespace(predict=lambda data: data.shape)
    assert codecs.predict(np.array([1.0, 2.0], dtype=np.float32), model) == (1, 2)
    assert codecs.predict(np.array(["a text", "another"]), model) == (2,)


@pytest.mark.parametrize(
    ("prediction", "accept", "response"),
    [
        (np.array([0.5, 1.5]), "application/json", (b"[0.5, 1.5]", "application/json")),
        (np.array([0.5, 1.5]), "text/csv", (b"0.5\n1.5\n", "text/csv")),
        (np.array([[1, 2], [3, 4]]), "text/csv", (b"1,2\n3,4\n", "text/csv")),
        ({"p": np.float32(0.5)}, "application/json;verbose=true", (b'{"p": 0.5}', "application/json")),
        ([1], "text/html;q=0.9, text/csv;q=0.5, */*;q=0.1", (b"1\n", "text/csv")),
    ],
)
def test_predictions_are_written_in_the_accepted_type(
    prediction: Any, accept: str, response: tuple[bytes, str]
) -> None:
    assert codecs.encode(prediction, accept) == response


def test_headers_are_read_as_they_are_meant() -> None:
    assert media_type('Text/CSV; Label_Size=0; x="y"') == ("text/csv", {"label_size": "0", "x": "y"})
    assert media_type(None) == ("", {})
    assert accepted("a/b;q=0.1, c/d, e/f;q=0, g/h;q=bad") == ["c/d", "a/b"]
