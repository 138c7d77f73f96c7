"""The input_fn, predict_fn and output_fn that AWS's images have for scripts without their own: NumPy arrays."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from clary.formats import media_types
from clary.tasks.host.handlers import RequestError


def decode(body: bytes | str, content_type: str) -> Any:
    """A request's body as an array with one row per instance; numbers of CSV and JSON are float32.

    Raises RequestError: 415 for an unknown content type, 400 for a body that is not of it.
    """
    reader = READERS.get(media_types.media_type(content_type)[0])
    if reader is None:
        raise RequestError(
            415, f"Content type {content_type} is not supported. Send {', '.join(READERS)}, or define input_fn."
        )
    try:
        return reader(body)
    except Exception as error:
        raise RequestError(400, f"The body cannot be read as {content_type}: {error}") from error


def decode_squeezed(body: bytes | str, content_type: str) -> Any:
    """The same for scripts with a predict_fn of their own: AWS gives them one CSV row, or one column, as a vector."""
    data = decode(body, content_type)
    return data.squeeze() if media_types.media_type(content_type)[0] == media_types.CSV else data


def predict(data: Any, model: Any) -> Any:
    """`model.predict`; one instance may come without the brackets around it."""
    return model.predict(data.reshape(1, -1) if data.ndim == 1 and data.dtype.kind == "f" else data)


def encode(prediction: Any, accept: str) -> tuple[bytes, str]:
    """A prediction in the first supported content type of the Accept header. Raises RequestError (406)."""
    if name := media_types.preferred(accept, WRITERS, media_types.JSON):
        return WRITERS[name](prediction), name
    raise RequestError(406, f"Accept {accept} is not supported. Ask for {', '.join(WRITERS)}, or define output_fn.")


def _from_csv(body: Any) -> Any:
    import numpy as np

    text = body if isinstance(body, str) else body.decode()
    if not text.strip():
        raise ValueError("there is no row in it")
    try:
        array = np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2, quotechar='"', comments=None)
    except ValueError:
        # Slower, and for empty fields, which are missing values.
        rows = [[float(field) if field.strip() else np.nan for field in row] for row in csv.reader(io.StringIO(text))]
        array = np.array([row for row in rows if row], ndmin=2)
    return array.astype(np.float32)


def _from_json(body: Any) -> Any:
    import numpy as np

    return np.array(json.loads(body)).astype(np.float32)


def _from_npy(body: Any) -> Any:
    import numpy as np

    return np.load(io.BytesIO(body), allow_pickle=False)


def _from_npz(body: Any) -> Any:
    import scipy.sparse

    return scipy.sparse.load_npz(io.BytesIO(body))


def _to_csv(prediction: Any) -> bytes:
    import numpy as np

    array = np.asarray(prediction)
    rows = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows.tolist())
    return text.getvalue().encode()


def _to_json(prediction: Any) -> bytes:
    def to_list(value: Any) -> Any:
        if hasattr(value, "tolist"):
            return value.tolist()
        raise TypeError(f"{type(value).__name__} cannot be written as JSON; define output_fn.")

    return json.dumps(prediction, default=to_list).encode()


def _to_npy(prediction: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, prediction, allow_pickle=False)
    return buffer.getvalue()


READERS: dict[str, Callable[[Any], Any]] = {
    media_types.CSV: _from_csv,
    media_types.JSON: _from_json,
    media_types.NPY: _from_npy,
    media_types.NPZ: _from_npz,
}
WRITERS: dict[str, Callable[[Any], bytes]] = {
    media_types.JSON: _to_json,
    media_types.CSV: _to_csv,
    media_types.NPY: _to_npy,
}
