"""A user's inference script as the handlers of a model host."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from clary.formats import media_types
from clary.tasks.host.handlers import RequestError

# A framework's own functions, used where the script has none.
Input = Callable[[Any, str], Any]
Predict = Callable[[Any, Any], Any]
Output = Callable[[Any, str], Any]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a framework does where the script defines no function.

    input_fn           (body, content type) -> data, for the framework's own predict_fn
    squeezed_input_fn  the same for a predict_fn of the script, which in AWS's images gets one CSV row as a vector
    predict_fn         (data, model) -> prediction
    output_fn          (prediction, accept) -> bytes, or (bytes, content type)
    """

    input_fn: Input
    squeezed_input_fn: Input
    predict_fn: Predict
    output_fn: Output


class UserCode:
    """Handlers made of `model_fn` and `input_fn`, `predict_fn`, `output_fn`, or `transform_fn` of one script."""

    def __init__(self, script: Path, defaults: Defaults) -> None:
        self.script = script
        self.defaults = defaults

    def load(self, model_dir: Path) -> Any:
        """The model. Raises ImportError or AttributeError with a remedy, and whatever the script raises."""
        module = import_script(self.script)
        self.module = module
        self.transform_fn = self._transform_fn(module)
        model_fn = _function(module, "model_fn", 1)
        if model_fn is None:
            raise AttributeError(
                f"{self.script.name} has no model_fn: it is unknown how its model is loaded. "
                'Define "def model_fn(model_dir)", which returns the model.'
            )
        return model_fn(str(model_dir))

    def transform(self, model: Any, body: bytes, content_type: str | None, accept: str | None) -> tuple[bytes, str]:
        content_type = content_type or media_types.JSON
        if not accept or accept.strip() == media_types.ANY:
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or media_types.JSON
        # Scripts get text where the content is text, as in AWS's images.
        data: bytes | str = body
        if media_types.media_type(content_type)[0] in (media_types.CSV, media_types.JSON):
            data = body.decode("utf-8", "replace")
        return to_response(self.transform_fn(model, data, content_type, accept), accept)

    def execution_parameters(self) -> Any:
        function = _function(self.module, "execution_parameters_fn", 0)
        return None if function is None else function()

    def _transform_fn(self, module: ModuleType) -> Callable[[Any, Any, str, str], Any]:
        given = {name: _function(module, name, 2) for name in ("input_fn", "predict_fn", "output_fn")}
        transform_fn = _function(module, "transform_fn", 4)
        if transform_fn is None:
            return self._chain(given)
        if both := [name for name, function in given.items() if function]:
            raise AttributeError(
                f"{self.script.name} has transform_fn and also {', '.join(both)}. "
                "Keep transform_fn, which does all three steps, or the single steps."
            )
        return transform_fn

    def _chain(self, given: Mapping[str, Callable[..., Any] | None]) -> Callable[[Any, Any, str, str], Any]:
        defaults = self.defaults
        input_fn = given["input_fn"] or (defaults.squeezed_input_fn if given["predict_fn"] else defaults.input_fn)
        predict_fn = given["predict_fn"] or defaults.predict_fn
        output_fn = given["output_fn"] or defaults.output_fn

        def transform(model: Any, body: Any, content_type: str, accept: str) -> Any:
            return output_fn(predict_fn(input_fn(body, content_type), model), accept)

        return transform


def import_script(script: Path) -> ModuleType:
    """Import a file as the module of its name, with its folder first on the path, as its own imports expect."""
    if not script.is_file():
        raise ImportError(f"SAGEMAKER_PROGRAM names {script.name}, but there is no {script}.")
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        raise ImportError(f"SAGEMAKER_PROGRAM names {script.name}; a Python file is required to answer requests.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module  # what the script pickles or unpickles is found by this name
    spec.loader.exec_module(module)
    return module


def to_response(result: Any, accept: str) -> tuple[bytes, str]:
    """(body, content type) of what a script returned: a body, the pair itself, or a response object like Flask's."""
    content_type = accept
    if hasattr(result, "get_data"):
        if getattr(result, "status_code", 200) >= 400:
            raise RequestError(result.status_code, result.get_data(as_text=True))
        body, content_type = result.get_data(), getattr(result, "mimetype", None) or accept
    elif isinstance(result, tuple) and len(result) == 2:
        body, content_type = result
    else:
        body = result
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(f"output_fn returned {type(body).__name__}; return str, bytes, or (body, content type).")
    return bytes(body), str(content_type)


def _function(module: ModuleType, name: str, arguments: int) -> Callable[..., Any] | None:
    """A function of the script; one that takes one argument more, AWS's `context`, gets None for it."""
    function: Callable[..., Any] | None = getattr(module, name, None)
    if function is None or not callable(function):
        return None
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError:
        inspect.signature(function).bind(*range(arguments + 1))  # raises, naming what does not fit
        return lambda *values: function(*values, None)
    return function
