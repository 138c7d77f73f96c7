"""Which variant and which replica: tables, with the random number as an argument."""

import random
from collections import Counter

import pytest

from clary.core.errors import ValidationError
from clary.core.routes import Replica, Variant
from clary.gateway.choose import choose_replica, choose_variant

A, B, C = Variant("a", 7.0), Variant("b", 3.0), Variant("c", 0.0)
R = [Replica(f"t{i}", f"http://127.0.0.1:{i + 1}") for i in range(3)]


@pytest.mark.parametrize(
    ("variants", "draw", "expected"),
    [
        ([A], 0.0, "a"),
        ([A], 0.999999, "a"),
        ([A, B], 0.0, "a"),
        ([A, B], 0.6999999, "a"),
        ([A, B], 0.7000001, "b"),
        ([A, B], 0.999999, "b"),
        ([C, A, B], 0.0, "a"),
        ([A, B, C], 0.9999999999999999, "b"),  # rounding never reaches a weight of 0
        ([Variant("x", 1e-300), Variant("y", 1e300)], 0.5, "y"),
    ],
)
def test_a_variant_by_weight(variants, draw, expected):
    assert choose_variant("e", variants, "", draw).name == expected


def test_shares_are_exact_in_the_long_run():
    dice = random.Random(7)
    n = 100_000
    seen = Counter(choose_variant("e", [A, B, C], "", dice.random()).name for _ in range(n))
    assert seen["c"] == 0
    assert abs(seen["a"] / n - 0.7) < 4 * (0.7 * 0.3 / n) ** 0.5


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_target_variant_overrides_the_weights(name):
    assert choose_variant("e", [A, B, C], name, 0.0).name == name


@pytest.mark.parametrize(
    ("variants", "target", "text"),
    [
        ([A, B], "z", "Variant z is not a production variant of endpoint e; it has: a, b."),
        ([C], "", "No variant of endpoint e has a weight above 0"),
        ([], "", "No variant of endpoint e has a weight above 0"),
    ],
)
def test_no_variant_fits(variants, target, text):
    with pytest.raises(ValidationError, match=text):
        choose_variant("e", variants, target, 0.5)


@pytest.mark.parametrize(
    ("replicas", "outstanding", "draw", "expected"),
    [
        ([], {}, 0.5, None),
        (R[:1], {"t0": 9}, 0.5, "t0"),
        (R, {"t0": 2, "t1": 1, "t2": 2}, 0.9, "t1"),
        (R, {"t0": 1}, 0.0, "t1"),
        (R, {"t0": 1}, 0.99, "t2"),
        (R, {}, 0.4, "t1"),
    ],
)
def test_a_replica_by_requests_under_way(replicas, outstanding, draw, expected):
    chosen = choose_replica(replicas, outstanding, draw)
    assert (chosen and chosen.task_id) == expected
