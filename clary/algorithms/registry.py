"""All manifests, found by listing this package: each module that holds an `ALGORITHM`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

import clary.algorithms
from clary.algorithms.manifest import Algorithm


def _algorithms() -> Mapping[str, Algorithm]:
    names = sorted(module.name for module in pkgutil.iter_modules(clary.algorithms.__path__))
    modules = (importlib.import_module(f"clary.algorithms.{name}") for name in names if name != "registry")
    found = (module.ALGORITHM for module in modules if hasattr(module, "ALGORITHM"))
    return MappingProxyType({algorithm.name: algorithm for algorithm in found})


# By name.
ALGORITHMS: Mapping[str, Algorithm] = _algorithms()
