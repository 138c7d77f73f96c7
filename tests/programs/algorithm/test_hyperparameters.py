"""Hyperparameters of any algorithm, by its manifest."""

from __future__ import annotations

import pytest

from clary.tasks.algorithm.hyperparameters import parse
from clary.tasks.failure import ClientError
from tests.programs.algorithm.example import ALGORITHM


def test_values_have_the_types_of_their_domains() -> None:
    texts = {
        "k": "10.0",
        "learning_rate": "1e-2",
        "init": '"random"',
        "normalize": "True",
        "columns": "a, b",
        "eval_metrics": '["msd", "ssd", "msd"]',
        "sagemaker_region": "anything",
    }
    assert parse(texts, ALGORITHM) == {
        "k": 10,
        "rate": 0.01,
        "init": "random",
        "normalize": True,
        "columns": ["a", "b"],
        "eval_metrics": ["msd", "ssd"],
    }


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, "Missing required hyperparameter: k: an integer in [2, +inf) is needed."),
        ({"k": "2", "depth": "1"}, "Extraneous hyperparameter found: depth."),
        ({"k": "1"}, "Hyperparameter k: value '1' is not allowed; it must be an integer in [2, +inf)."),
        ({"k": "2", "rate": "0"}, "Hyperparameter rate: value '0' is not allowed; it must be a number in (0, 1]."),
        ({"k": "2", "rate": "1", "learning_rate": "1"}, "Hyperparameter rate is given twice, once as an alias"),
        ({"k": "2", "columns": "a,c"}, "it must be a list, separated by commas, of a, b."),
        ({"k": "2", "eval_metrics": "msd@2"}, "it must be a list, separated by commas, of msd, ssd."),
    ],
)
def test_errors_name_the_hyperparameter_and_what_is_allowed(texts: dict[str, str], message: str) -> None:
    with pytest.raises(ClientError) as error:
        parse(texts, ALGORITHM)
    assert message in str(error.value)
