import pytest

from clary.wire.patterns import compiled, matches
from clary.wire.shapes import SERVICES, Services


def test_every_pattern_of_the_models_compiles():
    failed = {}
    for name in SERVICES:
        for shape, raw in Services().named(name).shapes.items():
            try:
                compiled(raw.get("pattern", ""))
            except Exception as error:
                failed[name, shape] = f"{raw['pattern']}: {error}"
    assert failed == {}


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        (r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", "a-b", True),
        (r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", "a-b\n", False),
        (r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", "xa_b", False),
        (r"^[a-z]+$", "abc\n", False),
        (r"\d{2}", "١٢", False),
        (r"\w+", "é", False),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "équipe 7", True),
        (r"arn:[\p{Alnum}\-]+:.*", "arn:aws-é:x", False),
        (r"[\S\s]*", "a\u00a0b\n\u2028", True),
        (r".*", "a\u2028b", False),
        (r".*", "a\rb", False),
        (r"[.]+", "a", False),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "tab\t and 😀", True),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "bell\a", False),
    ],
)
def test_patterns_match_as_in_java(pattern, value, fits):
    assert matches(pattern, value) is fits


def test_a_pattern_that_backtracks_for_ever_is_cut_short():
    with pytest.raises(TimeoutError):
        matches(r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?", "a" * 60 + "!", timeout_s=0.05)
