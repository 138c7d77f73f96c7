"""Content-Type and Accept headers."""

from __future__ import annotations

from collections.abc import Collection

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
    """The media types of an Accept header, by preference; those with q=0 are left out."""
    weighted: list[tuple[float, str]] = []
    for part in (header or "").split(","):
        name, parameters = media_type(part)
        quality = _quality(parameters.get("q", "1"))
        if name and quality > 0:
            weighted.append((quality, name))
    return [name for _, name in sorted(weighted, key=lambda item: -item[0])]


def preferred(header: str | None, supported: Collection[str], default: str, wildcards: Collection[str] = (ANY,)) -> str:
    """The first media type of an Accept header that is supported; "" where none is.

    The default stands for a wildcard, and for a header that is absent or names nothing.
    """
    for name in accepted(header) or [ANY]:
        if name in wildcards:
            return default
        if name in supported:
            return name
    return ""


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
