"""Image URIs: which of them are programs of Clary's own, and which version of which library they stand for.

AWS publishes an image under another account in every region, so the repository's name decides, not the account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from clary.algorithms.manifest import Algorithm, Versions
from clary.algorithms.registry import ALGORITHMS


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """An image that is a program of this machine.

    name      of the algorithm
    version   of the library, as the tag has it: "1.7-1" is "1.7"; "" where the tag names none
    """

    name: str
    version: str = ""

    @property
    def algorithm(self) -> Algorithm:
        return ALGORITHMS[self.name]


def built_in(uri: str) -> BuiltIn | None:
    """What an image URI stands for; None where it is a container image like any other."""
    if found := _IN_ANY_REGISTRY.fullmatch(uri):
        return _image(_OWN_REPOSITORIES[found["repository"]], found["tag"])
    if found := _URI.fullmatch(uri):
        known = _ECR_REPOSITORIES if found["ecr"] else _OWN_REPOSITORIES
        if algorithm := known.get(found["repository"]):
            return _image(algorithm, found["tag"])
    return None


def requirements(image: BuiltIn) -> tuple[str, ...]:
    """What pip installs for exactly this version of an image."""
    versions = image.algorithm.versions
    assert versions is not None, "an image without versions runs in the server's own environment"
    pin = f"{image.algorithm.package}=={_last_patch(image.version, versions)}"
    return (pin, *versions.packages, *_scientific(image.version, versions), *_ALWAYS)


def examples() -> str:
    """Built-in images by name, for the text of an error."""
    return ", ".join(algorithm.image for algorithm in ALGORITHMS.values() if algorithm.repositories)


def _image(algorithm: Algorithm, tag: str | None) -> BuiltIn:
    return BuiltIn(algorithm.name, _version(algorithm.versions, tag or "") if algorithm.versions else "")


def _version(versions: Versions, tag: str) -> str:
    """The library's version in a tag: `1.7-1`, `0.90-2-cpu-py3`, `0.20.0-cpu-py3`, `3.0-5`."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?:-(\d+))?", tag)
    if found is None:
        return versions.tags.get(tag, "")
    major, minor, patch, build = found.groups()
    if patch is None and versions.build_is_patch is not None and int(major) >= versions.build_is_patch:
        patch = build
    return f"{major}.{minor}.{patch}" if patch else f"{major}.{minor}"


def _last_patch(version: str, versions: Versions) -> str:
    if version.count(".") == 2:
        return version
    return versions.pins.get(version) or f"{version}.*"


def _scientific(version: str, versions: Versions) -> tuple[str, ...]:
    """What was built against NumPy 1 does not work with NumPy 2, and some of it uses what SciPy removed in 1.13."""
    major, minor = version.split(".")[:2]
    if (int(major), int(minor)) < versions.numpy_2:
        return ("numpy<2", "scipy<1.13", "pandas<2.3", "pyarrow<20")
    return ("numpy", "scipy", "pandas", "pyarrow")


def _by_repository(attribute: str) -> Mapping[str, Algorithm]:
    return MappingProxyType(
        {name: algorithm for algorithm in ALGORITHMS.values() for name in getattr(algorithm, attribute)}
    )


_ECR_REPOSITORIES = _by_repository("repositories")
_OWN_REPOSITORIES = _by_repository("own_repositories")

_TAG = r"(?::(?P<tag>[\w][\w.\-]{0,127}))?(?:@sha256:[0-9a-f]{64})?"
# Amazon ECR in every partition, dual stack and FIPS included.
_URI = re.compile(
    r"(?:(?P<ecr>\d{12}\.dkr[.\-]ecr(?:-fips)?\.[a-z0-9\-]+\."
    r"(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn|c2s\.ic\.gov|"
    r"sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov))/)?"
    rf"(?P<repository>[a-z0-9][a-z0-9._/\-]*){_TAG}",
    re.ASCII,
)
# A registry is a name with a dot or a port, by which Docker distinguishes it from a user.
_IN_ANY_REGISTRY = re.compile(
    r"(?:(?:localhost|[A-Za-z0-9\-]+(?=[.:])[A-Za-z0-9.\-]*)(?::\d+)?/)?"
    + "(?P<repository>"
    + "|".join(re.escape(name) for name, algorithm in _OWN_REPOSITORIES.items() if algorithm.any_registry)
    + f"){_TAG}",
    re.ASCII,
)
# What the programs in clary.tasks, and scripts written for AWS's images, import beside the library itself.
_ALWAYS = ("uvicorn", "httptools", "boto3")
