"""A user's inference script as handlers: which functions are used, with what, and the errors where they do not fit."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from clary.tasks.host.handlers import RequestError
from clary.tasks.host.options import THREADS, Options
from clary.tasks.host.user_code import Defaults, UserCode

DEFAULTS = Defaults(
    input_fn=lambda body, content_type: ("whole", body, content_type),
    squeezed_input_fn=lambda body, content_type: ("squeezed", body, content_type),
    predict_fn=lambda data, model: (model, *data),
    output_fn=lambda prediction, accept: (repr(prediction), accept),
)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def write(text: str) -> UserCode:
        file = tmp_path / "my_script.py"
        file.write_text(textwrap.dedent(text))
        return UserCode(file, DEFAULTS)

    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    return write


def invoke(code: UserCode, body: bytes = b"1", content_type: str | None = None, accept: str | None = None) -> Any:
    return code.transform(code.load(Path("/model")), body, content_type, accept)


MODEL_FN = "def model_fn(model_dir): return model_dir\n"


def test_functions_that_a_script_lacks_are_the_frameworks(script: Any) -> None:
    assert invoke(script(MODEL_FN)) == (b"('/model', 'whole', '1', 'application/json')", "application/json")


def test_a_script_that_predicts_gets_what_awss_image_gives_it(script: Any) -> None:
    code = script(MODEL_FN + "def predict_fn(data, model): return data[0]")
    assert invoke(code) == (b"'squeezed'", "application/json")


@pytest.mark.parametrize(
    ("content_type", "given"),
    [("text/csv", str), ("application/json", str), ("text/csv; charset=utf-8", str), ("application/x-npy", bytes)],
)
def test_text_comes_as_text(script: Any, content_type: str, given: type) -> None:
    code = script(MODEL_FN + "def input_fn(body, content_type): return [type(body).__name__, content_type]")
    assert invoke(code, b"1", content_type)[0] == repr(("/model", given.__name__, content_type)).encode()


def test_transform_fn_does_all_of_it(script: Any) -> None:
    code = script(MODEL_FN + "def transform_fn(model, body, content_type, accept): return body + accept, 'text/plain'")
    assert invoke(code, b"1", "text/csv", "a/b") == (b"1a/b", "text/plain")


def test_a_wildcard_accept_means_the_default(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    assert invoke(script(MODEL_FN), accept="*/*")[1] == "text/csv"
    assert invoke(script(MODEL_FN))[1] == "text/csv"
    assert invoke(script(MODEL_FN), accept="application/x-npy")[1] == "application/x-npy"


def test_a_function_may_take_awss_context(script: Any) -> None:
    code = script(
        """
        def model_fn(model_dir, context): return 1
        def transform_fn(model, body, content_type, accept, context): return str((model, context))
        """
    )
    assert invoke(code)[0] == b"(1, None)"


def test_a_response_object_sets_its_own_type_and_status(script: Any) -> None:
    text = """
        class Response:
            def __init__(self, status_code): self.status_code, self.mimetype = status_code, "text/csv"
            def get_data(self, as_text=False): return "gone" if as_text else b"gone"
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept): return Response(int(body))
    """
    assert invoke(script(text), b"200") == (b"gone", "text/csv")
    with pytest.raises(RequestError, match="gone") as refused:
        invoke(script(text), b"418")
    assert refused.value.status == 418


def test_modules_beside_the_script_can_be_imported(script: Any, tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("name = 'beside'")
    code = script("import beside_it\ndef model_fn(model_dir): return beside_it.name")
    assert code.load(Path("/model")) == "beside"


def test_execution_parameters_fn_is_called(script: Any) -> None:
    code = script(MODEL_FN + "def execution_parameters_fn(): return {'MaxPayloadInMB': 3}")
    code.load(Path("/model"))
    assert code.execution_parameters() == {"MaxPayloadInMB": 3}


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", 'my_script.py has no model_fn.*Define "def model_fn'),
        (
            MODEL_FN + "def transform_fn(a, b, c, d): ...\ndef input_fn(a, b): ...\ndef output_fn(a, b): ...",
            "has transform_fn and also input_fn, output_fn",
        ),
        ("def model_fn(): ...", "too many positional arguments"),
    ],
)
def test_functions_that_do_not_fit_are_reported(script: Any, text: str, fragment: str) -> None:
    with pytest.raises((AttributeError, TypeError), match=fragment):
        script(text).load(Path("/model"))


def test_a_missing_script_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match=r"SAGEMAKER_PROGRAM names no\.py, but there is no"):
        UserCode(tmp_path / "no.py", DEFAULTS).load(Path("/model"))


def test_an_answer_that_is_no_body_is_reported(script: Any) -> None:
    code = script(MODEL_FN + "def output_fn(prediction, accept): return 5")
    with pytest.raises(TypeError, match="output_fn returned int; return str, bytes"):
        invoke(code)


def test_options_are_read_from_the_environment() -> None:
    assert Options.from_environment({}) == Options(port=8080, workers=1, threads=THREADS, timeout_s=60)
    options = Options.from_environment(
        {"SAGEMAKER_BIND_TO_PORT": "9000", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "9"}
    )
    assert (options.port, options.timeout_s) == (9000, 9)


@pytest.mark.parametrize("value", ["-1", "65536", "1e3", "80 80", "x", "9" * 5000])
def test_a_port_that_is_none_is_named(value: str) -> None:
    with pytest.raises(ValueError, match=r"SAGEMAKER_BIND_TO_PORT is .* give a whole number from 0 to 65535"):
        Options.from_environment({"SAGEMAKER_BIND_TO_PORT": value})
