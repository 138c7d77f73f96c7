"""Every algorithm's manifest: whole, true to its program and its documentation, and the only place that names it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import pytest

from clary.algorithms.domains import Continuous, Integer, MetricList, ObjectiveMetric
from clary.algorithms.registry import ALGORITHMS
from clary.compute.images import built_in, requirements
from clary.tasks.algorithm.hyperparameters import value_of

ROOT = Path(__file__).parents[2]
MANIFESTS = [pytest.param(algorithm, id=name) for name, algorithm in ALGORITHMS.items()]
HYPERPARAMETERS = [
    pytest.param(item, id=f"{name}-{item.name}")
    for name, algorithm in ALGORITHMS.items()
    for item in algorithm.hyperparameters
]
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def _load():
    spec = importlib.util.spec_from_file_location("make_algorithms", ROOT / "docs" / "make_algorithms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_algorithms = _load()


def test_the_manifests_are_found():
    assert {"xgboost", "scikit-learn", "data"} <= set(ALGORITHMS)


@pytest.mark.parametrize("algorithm", MANIFESTS)
def test_its_program_is_there(algorithm):
    assert importlib.util.find_spec(algorithm.module)
    if algorithm.serving:
        assert callable(importlib.import_module(algorithm.serving).handlers)


@pytest.mark.parametrize("algorithm", MANIFESTS)
def test_its_images_are_found(algorithm):
    assert algorithm.repositories + algorithm.own_repositories
    for uri in (*(f"{ECR}/{name}:1.0" for name in algorithm.repositories), *algorithm.own_repositories):
        assert built_in(uri).algorithm is algorithm


@pytest.mark.parametrize("algorithm", [item for item in MANIFESTS if item.values[0].versions])
def test_each_version_of_an_image_has_a_pin(algorithm):
    for version, pin in algorithm.versions.pins.items():
        image = built_in(f"{ECR}/{algorithm.repositories[0]}:{version}-1")
        assert image.version == version
        assert f"{algorithm.package}=={pin}" in requirements(image)


def test_no_repository_belongs_to_two_algorithms():
    names = [name for item in ALGORITHMS.values() for name in item.repositories + item.own_repositories]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("algorithm", MANIFESTS)
def test_names_are_unique(algorithm):
    names = [*algorithm.domains, *algorithm.aliases]
    assert len(names) == len(set(names)) == sum(1 + len(item.aliases) for item in algorithm.hyperparameters)
    for items in (algorithm.channels, algorithm.metrics):
        assert len({item.name for item in items}) == len(items)


@pytest.mark.parametrize("item", HYPERPARAMETERS)
def test_a_default_is_allowed_and_not_beside_required(item):
    if item.default:
        value_of(item.default, item.domain)
        assert not item.required


@pytest.mark.parametrize("item", [param for param in HYPERPARAMETERS if param.values[0].recommended])
def test_a_recommended_range_lies_in_the_domain(item):
    assert item.tunable
    assert isinstance(item.domain, Integer | Continuous)
    assert item.recommended.low in item.domain
    assert item.recommended.high in item.domain
    assert item.recommended.low < item.recommended.high


@pytest.mark.parametrize("algorithm", MANIFESTS)
def test_metrics_have_a_regular_expression_with_one_group(algorithm):
    for metric in algorithm.metrics:
        assert re.compile(metric.regex).groups == 1
        assert len(metric.regex) <= 500  # MetricDefinitions' own limit
        assert metric.direction in ("Maximize", "Minimize")


@pytest.mark.parametrize("item", HYPERPARAMETERS)
def test_metrics_that_may_be_asked_for_are_reported(item):
    (algorithm,) = (candidate for candidate in ALGORITHMS.values() if item in candidate.hyperparameters)
    reported = {metric.name for metric in algorithm.metrics}
    match item.domain:
        case MetricList(metrics):
            assert set(metrics) <= {name.partition(":")[2] for name in reported}
        case ObjectiveMetric(channels, metrics):
            assert {f"{channel}:{metric}" for channel in channels for metric in metrics.metrics} <= reported


def test_the_tables_of_the_documentation_are_the_manifests():
    for file, text in make_algorithms.pages().items():
        assert file.read_text() == text, "run python docs/make_algorithms.py"


@pytest.mark.parametrize("algorithm", [item for item in MANIFESTS if item.values[0].hyperparameters])
def test_an_algorithm_with_hyperparameters_has_a_page(algorithm):
    page = (ROOT / "docs" / "algorithms" / f"{algorithm.name}.md").read_text()
    for table in ("hyperparameters", "metrics"):
        assert make_algorithms.BEGIN.format(table=table) in page


# Those that AWS publishes images of; `clary/data` is named after the library.
PUBLISHED = [algorithm for algorithm in ALGORITHMS.values() if algorithm.repositories]
NAMES = {name for item in PUBLISHED for name in (item.name, item.library, item.package, *item.repositories)}
PROGRAMS = tuple(f"{item.module.replace('.', '/')}/" for item in PUBLISHED)
# The demo trains an algorithm; clary.data imports scikit-learn as a library.
OTHERS = ("clary/algorithms/", "clary/demo/", "clary/cli/demo.py", "clary/data/")


def test_no_other_code_names_an_algorithm():
    """Comments and docstrings may mention AWS's images; code may not depend on a name."""
    spellings = NAMES | {name.replace("-", "_") for name in NAMES}
    names = re.compile("|".join(map(re.escape, sorted(spellings))), re.IGNORECASE)
    found = []
    for file in sorted((ROOT / "clary").rglob("*.py")):
        path = file.relative_to(ROOT).as_posix()
        if not path.startswith((*PROGRAMS, *OTHERS)):
            found += [f"{path}:{number}: {line}" for number, line in _code(file) if names.search(line)]
    assert found == []


def _code(file: Path) -> list[tuple[int, str]]:
    """The names and strings of a file, without comments and docstrings, by line."""
    tree = ast.parse(file.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and _docstring(node)
    }
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                found.append((node.lineno, text))
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) | ast.FunctionDef(name=name):
                found.append((node.lineno, name))
            case ast.ImportFrom(module=str(module)):
                found.append((node.lineno, module))
    return found


def _docstring(node) -> bool:
    return bool(node.body) and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
