"""A recipe that has seen its data: it turns tables, batches and single rows into features, all in the same way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clary.data.batch import Batch, Schema, some
from clary.data.errors import DataError, StepError
from clary.data.progress import Progress, quiet
from clary.data.recipe.fit import label
from clary.data.recipe.path import Path, after_all, along, path_to, whole
from clary.data.recipe.progress import shown_on_terminal
from clary.data.recipe.row import RowFunction, compiled
from clary.data.recipe.schema import check_columns, conformed
from clary.data.recipe.step import FittedStep
from clary.data.scans import scan_of

if TYPE_CHECKING:
    import pandas as pd

    from clary.data.recipe.recipe import Recipe

Data = Any  # Scan | pd.DataFrame | pa.Table: what scan_of takes


@dataclass(frozen=True, eq=False)
class FittedRecipe:
    """What `Recipe.fit` gives.

    recipe   what was fitted
    steps    its steps, fitted
    columns  of the table it was fitted on
    rows     how many that table has

    Raises StepError where a step reads at inference what only training has.
    """

    recipe: Recipe
    steps: tuple[FittedStep, ...]
    columns: pa.Schema
    rows: int

    def __post_init__(self) -> None:
        schema = self.schema_in
        for name, one in self.live:
            lacking = [column for column in one.inputs if column not in schema]
            if lacking:
                reason = "it is only there while the recipe is fitted; name it under `leave`, or drop it before"
                raise StepError(reason, step=name, column=lacking[0])
            schema = one.after(schema)

    # ---- what goes in and comes out ----

    @property
    def schema_in(self) -> Schema:
        """The columns of the table it was fitted on."""
        return Schema.of_arrow(self.columns)

    @cached_property
    def schema_out(self) -> Schema:
        """The features: the columns that come out at inference, where there is no target."""
        full = after_all([one for _, one in self.live], self.schema_in)
        return Schema(tuple(one for one in full.fields if one.name not in self._of_target))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features, one by one: what `transform_row` gives values for."""
        return self.schema_out.flat_names

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that a table has to have at inference."""
        return self._in_order(self.way(target=False, training=False)[0])

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What messages call each step."""
        return tuple(label(place, step) for place, step in enumerate(self.recipe.steps))

    @cached_property
    def live(self) -> tuple[tuple[str, FittedStep], ...]:
        """The steps that take part at inference, each with its label."""
        pairs = zip(self.labels, self.steps, strict=True)
        return tuple((name, one) for name, one in pairs if not one.training_only)

    @property
    def told(self) -> Mapping[str, Sequence[str]]:
        """What each step has to say of what it saw and did: what it dropped and why, what it replaced by what."""
        said = {name: tuple(one.told()) for name, one in zip(self.labels, self.steps, strict=True)}
        made = sorted(self._of_target - {self.recipe.target})
        if made:
            said["target"] = (f"{some(made)} is made of the target, and so not there at inference.",)
        return {name: sentences for name, sentences in said.items() if sentences}

    @cached_property
    def _of_target(self) -> frozenset[str]:
        """The columns at the end that cannot be had without the target; the target itself is one."""
        found = {self.recipe.target} & set(self.columns.names) if self.recipe.target else set()
        for _, one in self.live:
            made = {column.name for column in one.made}
            tainted = {name for name in made if found & set(one.inputs) and _reads(one, name, found)}
            found = (found - made - set(one.removed)) | tainted
        return frozenset(found)

    def way(self, *, target: bool, training: bool) -> tuple[Path, tuple[str, ...]]:
        """From the table's columns to those that come out."""
        pairs = tuple(zip(self.labels, self.steps, strict=True)) if training else self.live
        steps = [one.training() if training else one for _, one in pairs]
        names = after_all(steps, self.schema_in).names if training or target else self.schema_out.names
        return path_to(steps, names, [name for name, _ in pairs]), names

    def _in_order(self, path: Path) -> tuple[str, ...]:
        return tuple(name for name in self.columns.names if name in path.raw)

    # ---- tables ----

    def transform(self, data: Data, *, training: bool = False) -> pd.DataFrame:
        """The features of a DataFrame, an Arrow table or a scan, as a DataFrame; with the target where the data has it.

        training  whether the data is what the recipe was fitted on: steps that drop or add rows take part only then

        A DataFrame's index is kept. Columns that were not there at fitting are left out, and `.attrs["clary"]` says so.
        Raises DataError for columns that lack or hold something else, StepError for values a step cannot take.
        """
        import pandas as pd

        scan = scan_of(data)
        batch = whole(self.transform_batches(scan, training=training))
        frame = batch.to_pandas()
        if isinstance(data, pd.DataFrame):
            frame.index = data.index.take(batch.row_numbers) if training else data.index
        notes = self.notes(scan)
        if notes:
            frame.attrs["clary"] = list(notes)
        return frame

    def notes(self, data: Data) -> tuple[str, ...]:
        """What of a table the recipe does not look at because it has not seen it at fitting."""
        extra = [name for name in scan_of(data).arrow_schema.names if name not in self.columns.names]
        return (f"The recipe was fitted without {some(extra)}: left out.",) if extra else ()

    def transform_batches(
        self, data: Data, *, training: bool = False, progress: Progress | None = None
    ) -> Iterator[Batch]:
        """The features batch by batch, worked out on all cores, never more of them in memory than are looked at.

        Raises as `transform`.
        """
        scan = scan_of(data)
        there = scan.arrow_schema.names
        target = not self.recipe.target or self.recipe.target in there
        if training:
            check_columns(scan.arrow_schema, [self.recipe.target] if self.recipe.target else [])
        path, names = self.way(target=target, training=training)
        wanted = pa.schema([self.columns.field(name) for name in self._in_order(path)])
        return along(path, names, conformed(scan, wanted), progress=progress or quiet)

    def write(
        self,
        data: Data,
        target: str | os.PathLike[str],
        *,
        training: bool = False,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[str]:
        """The features into files, with memory bounded whatever the table's size; the files' URIs.

        progress, training  as in `fit` and `transform`
        options             of `clary.data.write`: format, label, header, rows_per_file, shards …
        """
        from clary.data import sinks

        with shown_on_terminal(progress) as told:
            return list(sinks.write(self.transform_batches(data, training=training, progress=told), target, **options))

    # ---- rows ----

    def transform_row(self, row: Mapping[str, Any] | Sequence[Any]) -> tuple[Any, ...]:
        """The features of one row, in the order of `names`: bit for bit what `transform` makes of it.

        row  a mapping from column to value, None where missing; or a sequence with the values of all columns but the
             target in the order in which the table had them, None or "" where missing

        Numbers come out as floats, whole ones beyond 2**53 too. Raises DataError for values that do not fit.
        """
        return self.row_function()(row)

    def row_function(self) -> RowFunction:
        """The same as a function, made once: microseconds a row."""
        return self._row_function

    @cached_property
    def _row_function(self) -> RowFunction:
        path, names = self.way(target=False, training=False)
        target = self.recipe.target
        columns = pa.schema([one for one in self.columns if not target or one.name != target])
        return compiled(list(zip(path.labels, path.steps, strict=True)), columns, self._in_order(path), names)

    # ---- elsewhere ----

    def to_sklearn(self) -> Any:
        """A fitted sklearn.pipeline.Pipeline that does the same to DataFrames with the columns `needed`.

        Raises DataError for a recipe that leaves no features.
        """
        from clary.data.recipe.sklearn import pipeline

        self._check_features()
        return pipeline(self)

    def to_onnx(self) -> Any:
        """An onnx.ModelProto that does the same. Raises DataError naming each step that has no ONNX form, and why."""
        from clary.data.recipe.onnx import model

        self._check_features()
        return model(self)

    def _check_features(self) -> None:
        if not self.names:
            raise DataError("the recipe leaves no features: no column but the target comes out of it")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Into one file, which `load` reads back without running any code where no step holds an estimator."""
        from clary.data.recipe.saved import save

        save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, allow_pickle: bool = False) -> FittedRecipe:
        """Of a file that `save` wrote. Raises DataError for anything else.

        allow_pickle  whether scikit-learn estimators and functions in it may be unpickled, which runs code: only for
                      files from those whose code you would run
        """
        from clary.data.recipe.saved import load

        return load(path, allow_pickle=allow_pickle)

    def __reduce__(self) -> tuple[Callable[..., FittedRecipe], tuple[Any, ...]]:
        """Without the compiled function, which is made anew."""
        return FittedRecipe, (self.recipe, self.steps, self.columns, self.rows)

    def __repr__(self) -> str:
        called = f" {self.recipe.name!r}" if self.recipe.name else ""
        return f"<FittedRecipe{called}: {len(self.schema_in.names)} columns to {len(self.names)} features>"


def _reads(step: FittedStep, made: str, columns: set[str]) -> bool:
    """Whether what it makes under this name comes of one of these columns."""
    alone = step.only({made})
    return alone is not None and bool(columns & set(alone.inputs))
