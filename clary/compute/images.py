"""Image URIs: which of them are programs of Clary's own, and which program and libraries those stand for.

AWS publishes an image under another account in every region, so the repository's name decides, not the account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Name = Literal["xgboost", "scikit-learn", "data"]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """An image that is a program of this machine.

    version   of the library, as the tag has it: "1.7-1" is "1.7"; "" where the tag names none
    """

    name: Name
    version: str = ""

    @property
    def module(self) -> str:
        """What `python -m` runs."""
        return "clary.tasks.recipe_job" if self.name == "data" else f"clary.tasks.{self.name.replace('-', '_')}"

    @property
    def library(self) -> str:
        """What it cannot do without, as Python imports it."""
        return {"xgboost": "xgboost", "scikit-learn": "sklearn", "data": "pyarrow"}[self.name]


def built_in(uri: str) -> BuiltIn | None:
    """What an image URI stands for; None where it is a container image like any other."""
    if _DATA.fullmatch(uri):
        return BuiltIn("data")  # Clary's own: there is no version but the server's
    found = _URI.fullmatch(uri)
    if found is None:
        return None
    name = _ECR_REPOSITORIES.get(found["repository"]) if found["ecr"] else _OWN_REPOSITORIES.get(found["repository"])
    return BuiltIn(name, _version(name, found["tag"] or "")) if name else None


def requirements(image: BuiltIn) -> tuple[str, ...]:
    """What pip installs for exactly this version of an image."""
    if image.name == "xgboost":
        pin = f"xgboost=={_last_patch(image, _XGBOOST)}"
        return (pin, "scikit-learn", *_around(image, numpy_2_since=(2, 1)), *_ALWAYS)
    pin = f"scikit-learn=={_last_patch(image, _SCIKIT_LEARN)}"
    return (pin, *_around(image, numpy_2_since=(1, 5)), *_ALWAYS)


def _version(name: Name, tag: str) -> str:
    """The library's version in a tag: `1.7-1`, `0.90-2-cpu-py3`, `0.20.0-cpu-py3`; XGBoost's since 3: `3.0-5`."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?:-(\d+))?", tag)
    if found is None:
        return _TAGS_OF_OLD.get(tag, "") if name == "xgboost" else ""
    major, minor, patch, build = found.groups()
    if patch is None and name == "xgboost" and int(major) >= 3:
        patch = build
    return f"{major}.{minor}.{patch}" if patch else f"{major}.{minor}"


def _last_patch(image: BuiltIn, known: Mapping[str, str]) -> str:
    if image.version.count(".") == 2:
        return image.version
    return known.get(image.version) or f"{image.version}.*"


def _around(image: BuiltIn, numpy_2_since: tuple[int, int]) -> tuple[str, ...]:
    """What was built against NumPy 1 does not work with NumPy 2, and XGBoost 0.90 uses what SciPy dropped in 1.13."""
    major, minor = image.version.split(".")[:2]
    old = (int(major), int(minor)) < numpy_2_since
    return ("numpy<2", "scipy<1.13", "pandas<2.3", "pyarrow<20") if old else ("numpy", "scipy", "pandas", "pyarrow")


# Amazon ECR in every partition, dual stack and FIPS included.
_URI = re.compile(
    r"(?:(?P<ecr>\d{12}\.dkr[.\-]ecr(?:-fips)?\.[a-z0-9\-]+\."
    r"(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn|c2s\.ic\.gov|"
    r"sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov))/)?"
    r"(?P<repository>[a-z0-9][a-z0-9._/\-]*)(?::(?P<tag>[\w][\w.\-]{0,127}))?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
# In any registry (a name with a dot or a port, as Docker tells one from a user): pipelines put theirs before it.
_DATA = re.compile(
    r"(?:(?:localhost|[A-Za-z0-9\-]+(?=[.:])[A-Za-z0-9.\-]*)(?::\d+)?/)?"
    r"clary/data(?::[\w][\w.\-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_ECR_REPOSITORIES: Mapping[str, Name] = MappingProxyType(
    {"sagemaker-xgboost": "xgboost", "xgboost": "xgboost", "sagemaker-scikit-learn": "scikit-learn"}
)
_OWN_REPOSITORIES: Mapping[str, Name] = MappingProxyType(
    {"clary/xgboost": "xgboost", "clary/scikit-learn": "scikit-learn"}
)
_TAGS_OF_OLD: Mapping[str, str] = MappingProxyType({"1": "0.72", "latest": "0.72"})

# The last patch of each version AWS had an image of.
_XGBOOST: Mapping[str, str] = MappingProxyType(
    {
        "0.72": "0.72.1",
        "0.90": "0.90",
        "1.0": "1.0.2",
        "1.2": "1.2.1",
        "1.3": "1.3.3",
        "1.5": "1.5.2",
        "1.7": "1.7.6",
        "2.0": "2.0.3",
        "2.1": "2.1.4",
    }
)
_SCIKIT_LEARN: Mapping[str, str] = MappingProxyType(
    {"0.20": "0.20.4", "0.23": "0.23.2", "1.0": "1.0.2", "1.2": "1.2.2", "1.4": "1.4.2"}
)
# What the programs in clary.tasks, and scripts written for AWS's images, import beside the library itself.
_ALWAYS = ("uvicorn", "httptools", "boto3")
