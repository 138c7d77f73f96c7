"""What the program takes: declared once, for its own command line and for `clary process`, which passes it on."""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, NoReturn

from clary.data.errors import DataError
from clary.tasks import paths

FORMATS = ("parquet", "csv", "libsvm", "recordio", "feather", "jsonl")
# Of clary.data.read, which are options of the program themselves, or none of a person's business.
_NO_READ_OPTIONS = ("format", "columns", "rows", "allow_pickle", "bad_rows", "spill", "in_memory")


def _option(default: Any, help: str, **more: Any) -> Any:  # noqa: A002 (the name in argparse and click)
    return field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one run. Raises DataError where they contradict each other."""

    recipe: str
    input: str
    output: str
    input_format: str = _option("", "Format of the input, where neither its name nor its first bytes show it.")
    read: tuple[str, ...] = _option((), "How to read the input: e.g. sheet=Prices.", metavar="NAME=VALUE")
    format: str = _option("parquet", "Format of the features.", choices=FORMATS)
    label: str = _option("", "Column that training programs want first (csv) or as the label.")
    header: bool = _option(False, "csv: write a line of column names first. SageMaker's algorithms want none.")
    rows_per_file: int | None = _option(None, "Split the features into files of so many rows.", minimum=1)
    bad_rows: str = _option(
        "error", "What to do with rows of the input that cannot be read.", choices=("error", "skip")
    )
    profile: bool = _option(False, "Write profile.html, a report on the input, too.")
    allow_pickle: bool = _option(False, "Load pickles, in a fitted recipe or as input: they can run code.")

    def __post_init__(self) -> None:
        if self.rows_per_file is not None and self.rows_per_file < 1:
            raise DataError(f"--rows-per-file {self.rows_per_file} is not a number of at least 1")
        if self.format == "libsvm" and not self.label:
            raise DataError("a libsvm file needs a label in each row: name its column by --label")

    def to_arguments(self) -> list[str]:
        """The same as arguments of the program; recipe, input and output are left to its defaults."""
        words = []
        for name, option in declared().items():
            match getattr(self, name):
                case True:
                    words.append(option.flag)
                case tuple() as values:
                    words += [f"{option.flag}={value}" for value in values]
                case False | None | "":
                    pass
                case value:  # in one argument with its flag: it may begin with a hyphen
                    words.append(f"{option.flag}={value}")
        return words


@dataclass(frozen=True)
class Option:
    """How a command line declares an option.

    default  False for a switch, () for an option that may be repeated, None or "" where there is none
    minimum  of a whole number; None for anything else
    """

    name: str
    default: Any
    help: str
    choices: Sequence[str] | None = None
    metavar: str | None = None
    minimum: int | None = None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def declared() -> Mapping[str, Option]:
    """The options by name, without recipe, input and output."""
    return {
        field.name: Option(field.name, field.default, **field.metadata)
        for field in fields(Options)
        if field.default is not MISSING
    }


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong usage goes into the failure file, as every other failure does."""
        raise DataError(f"{message}; --help lists the options")


def parse(arguments: Sequence[str] | None) -> Options:
    """The options of a command line, None for this process's own. Raises DataError."""
    folder = paths.base_dir() / "processing"
    parser = _Parser(
        allow_abbrev=False,
        prog="python -m clary.tasks.recipe_job",
        description="Apply a recipe to files: fit it where it is not fitted yet, write features and the fitted recipe.",
    )
    for name, text in (
        ("recipe", "A recipe's file, or a folder with one."),
        ("input", "A file, a folder of files, or an s3:// URI."),
        ("output", "The folder for everything that is written."),
    ):
        parser.add_argument(f"--{name}", default=str(folder / name), help=f"{text} [%(default)s]")
    for option in declared().values():
        if option.default is False:
            parser.add_argument(option.flag, action="store_true", help=option.help)
        elif option.default == ():
            parser.add_argument(option.flag, action="append", default=[], metavar=option.metavar, help=option.help)
        else:
            kind = str if option.minimum is None else int
            parser.add_argument(
                option.flag, type=kind, default=option.default, choices=option.choices, help=option.help
            )
    given = vars(parser.parse_args(arguments))
    return Options(**given | {"read": tuple(given["read"])})


def read_options(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as arguments of clary.data.read: VALUE is JSON or a Python literal, otherwise a text.

    Raises DataError.
    """
    options: dict[str, Any] = {}
    for pair in given:
        name, sign, text = pair.partition("=")
        if not sign or not name.isidentifier():
            raise DataError(f"--read {pair}: it is not of the form NAME=VALUE")
        if name in _NO_READ_OPTIONS:
            raise DataError(
                f"--read {pair}: {name} is not an option of a format; see --help for an option of that name"
            )
        if name in options:
            raise DataError(f"--read {pair}: {name} was given before")
        options[name] = _value(text)
    return options


def _value(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return text
