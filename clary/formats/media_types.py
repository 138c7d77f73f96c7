"""Content-Type and Accept headers."""

from __future__ import annotations

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
NPY = "application/x-npy"
NPZ = "application/x-npz"
ANY = "*/*"


def media_type(header: str | None) -> tuple[str, dict[str, str]]:
    """`text/csv; Label_Size=0` as ("text/csv", {"label_size": "0"}); ("", {}) where there is no header."""
    name, *parameters = (header or "").split(";")
    pairs = (part.partition("=") for part in parameters if part.strip())
    return name.strip().lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}


def accepted(header: str | None) -> list[str]:
    """The media types of an Accept header, best liked first; those with q=0 are left out."""
    liked: list[tuple[float, str]] = []
    for part in (header or "").split(","):
        name, parameters = media_type(part)
        quality = _quality(parameters.get("q", "1"))
        if name and quality > 0:
            liked.append((quality, name))
    return [name for _, name in sorted(liked, key=lambda item: -item[0])]


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
