"""The types of a manifest, named as in the TrainingSpecification and InferenceSpecification of CreateAlgorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from clary.algorithms.domains import Domain

# A number in a log line, as a metric's regular expression captures it.
NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"

Direction = Literal["Maximize", "Minimize"]
ScalingType = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of the library: how an image's tag names them, and what pip installs for them.

    pins            the last patch release of each version that AWS has published an image of
    tags            tags that do not spell the version: {"latest": "0.72"}
    build_is_patch  the first major version whose tags have the patch release behind the hyphen: "3.0-5" is 3.0.5
    numpy_2         the first version (major, minor) that works with NumPy 2
    packages        what an image holds beside the library and what surrounds every library
    """

    pins: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    build_is_patch: int | None = None
    numpy_2: tuple[int, int] = (0, 0)
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of a training job.

    content_types  the first one is taken where a request names none
    """

    name: str
    content_types: tuple[str, ...]
    required: bool = False
    input_modes: tuple[str, ...] = ("File", "FastFile", "Pipe")


@dataclass(frozen=True, slots=True)
class TuningRange:
    """A range that AWS recommends for tuning: bounds, both included, and the scale of the search."""

    low: float
    high: float
    scaling_type: ScalingType = "Linear"


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A hyperparameter of a training job.

    domain           the values that are allowed
    default          as documentation gives it; "" where there is none, or it follows from other hyperparameters
    tunable          whether a tuning job may search over it
    recommended      the range to search where a tuning job names none
    aliases          other names under which requests may give it
    without_effect   accepted, since scripts written for older versions send it; changes nothing
    """

    name: str
    domain: Domain
    default: str = ""
    description: str = ""
    required: bool = False
    tunable: bool = False
    recommended: TuningRange | None = None
    aliases: tuple[str, ...] = ()
    without_effect: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that the program reports while it trains.

    name   "validation:auc"
    regex  finds it in a line of the log, where a TAB reads `#011`; the first group is the value
    """

    name: str
    regex: str
    direction: Direction


@dataclass(frozen=True, slots=True, eq=False)
class Algorithm:
    """One of the programs that need no container.

    name              also in the configuration of tasks and the folders of environments, so it must not change
    module            what `python -m` runs
    library           the library that it requires, as Python imports it
    package           the same as pip installs it
    variants          other packages that hold the same library
    repositories      of Amazon ECR, in whichever account and region
    own_repositories  Clary's own names, in no registry
    any_registry      whether own_repositories may also lie in some registry
    versions          None where the image has no other version than the server's
    channels          of a training job; none where the user's code decides
    hyperparameters   all that a training job accepts; none where the user's code decides
    serving           the module whose `handlers(environment)` answers requests; "" where the user's code answers
    content_types     of requests to an endpoint
    response_types    of its answers
    distributed       whether several hosts train one model
    """

    name: str
    module: str
    library: str
    package: str
    variants: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    own_repositories: tuple[str, ...] = ()
    any_registry: bool = False
    versions: Versions | None = None
    channels: tuple[Channel, ...] = ()
    hyperparameters: tuple[Hyperparameter, ...] = ()
    metrics: tuple[Metric, ...] = ()
    serving: str = ""
    content_types: tuple[str, ...] = ()
    response_types: tuple[str, ...] = ()
    distributed: bool = False

    @property
    def image(self) -> str:
        """The repository by which people know the image."""
        return (self.repositories + self.own_repositories)[0]

    @property
    def fusible(self) -> bool:
        """Whether it can answer in one process with the other containers of an inference pipeline."""
        return bool(self.serving)

    @property
    def domains(self) -> dict[str, Domain]:
        """By the hyperparameter's name."""
        return {hyperparameter.name: hyperparameter.domain for hyperparameter in self.hyperparameters}

    @property
    def required(self) -> tuple[str, ...]:
        """The hyperparameters without which no job starts."""
        return tuple(hyperparameter.name for hyperparameter in self.hyperparameters if hyperparameter.required)

    @property
    def aliases(self) -> dict[str, str]:
        """Alias -> name."""
        return {alias: item.name for item in self.hyperparameters for alias in item.aliases}
