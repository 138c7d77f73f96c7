"""The fitted steps of a recipe: they turn tables, batches and single rows into features, all in the same way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from clary.data.batch import Batch, Schema, some
from clary.data.errors import DataError, StepError
from clary.data.progress import Progress, quiet
from clary.data.recipe.fit import label
from clary.data.recipe.plan import Plan, in_one_batch, plan_for, schema_after
from clary.data.recipe.progress import shown_on_terminal
from clary.data.recipe.row.function import RowFunction, compiled
from clary.data.recipe.schema import check_columns, conformed
from clary.data.recipe.step import FittedStep, Step
from clary.data.scans import scan_of

if TYPE_CHECKING:
    import pandas as pd

Data = Any  # Scan | pd.DataFrame | pa.Table: what scan_of takes


class Declaration(Protocol):
    """What fitted steps need to know of the recipe that was fitted."""

    @property
    def name(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def steps(self) -> tuple[Step, ...]: ...


@dataclass(frozen=True, eq=False)
class FittedSteps:
    """All of a fitted recipe but its file.

    recipe   what was fitted
    steps    its steps, fitted
    columns  of the table it was fitted on
    rows     how many that table has

    Raises StepError where a step reads at inference what only training has.
    """

    recipe: Declaration
    steps: tuple[FittedStep, ...]
    columns: pa.Schema
    rows: int

    def __post_init__(self) -> None:
        schema = self.schema_in
        for label_, step in self.inference_steps:
            missing = [column for column in step.inputs if column not in schema]
            if missing:
                reason = "the column exists only while the recipe is fitted; name it under `leave`, or drop it before"
                raise StepError(reason, step=label_, column=missing[0])
            schema = step.after(schema)

    # ---- what goes in and comes out ----

    @property
    def schema_in(self) -> Schema:
        """The columns of the table it was fitted on."""
        return Schema.of_arrow(self.columns)

    @cached_property
    def schema_out(self) -> Schema:
        """The features: the columns that come out at inference, where there is no target."""
        full = schema_after([step for _, step in self.inference_steps], self.schema_in)
        return Schema(tuple(field for field in full.fields if field.name not in self._needing_target))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features, a block's columns each by its own: what `transform_row` gives values for."""
        return self.schema_out.flat_names

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that a table has to have at inference."""
        return self._in_table_order(self.plan(target=False, training=False))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The name of each step in messages."""
        return tuple(label(place, step) for place, step in enumerate(self.recipe.steps))

    @cached_property
    def inference_steps(self) -> tuple[tuple[str, FittedStep], ...]:
        """The steps that take part at inference, each with its label."""
        pairs = zip(self.labels, self.steps, strict=True)
        return tuple((name, step) for name, step in pairs if not step.training_only)

    @property
    def step_notes(self) -> Mapping[str, Sequence[str]]:
        """What each step reports of its fitting, by its label: what it dropped and why, what it replaced by what."""
        notes = {name: tuple(step.notes()) for name, step in zip(self.labels, self.steps, strict=True)}
        derived = sorted(self._needing_target - {self.recipe.target})
        if derived:
            notes["target"] = (f"{some(derived)} is computed from the target, so it is left out at inference.",)
        return {name: sentences for name, sentences in notes.items() if sentences}

    @cached_property
    def _needing_target(self) -> frozenset[str]:
        """The columns at the end that cannot be computed without the target, itself among them."""
        found = {self.recipe.target} & set(self.columns.names) if self.recipe.target else set()
        for _, step in self.inference_steps:
            made = {field.name for field in step.made}
            derived = {name for name in made if found & set(step.inputs) and _reads(step, name, found)}
            found = (found - made - set(step.removed)) | derived
        return frozenset(found)

    def plan(self, *, target: bool, training: bool) -> Plan:
        """From the table's columns to those that come out.

        target    whether the table has the target
        training  whether this is the table that the recipe was fitted on
        """
        pairs = tuple(zip(self.labels, self.steps, strict=True)) if training else self.inference_steps
        steps = [step.training() if training else step for _, step in pairs]
        names = schema_after(steps, self.schema_in).names if training or target else self.schema_out.names
        return plan_for(names, steps, [name for name, _ in pairs])

    def _in_table_order(self, plan: Plan) -> tuple[str, ...]:
        return tuple(name for name in self.columns.names if name in plan.inputs)

    # ---- tables ----

    def transform(self, data: Data, *, training: bool = False) -> pd.DataFrame:
        """The features of a DataFrame, an Arrow table or a scan, as a DataFrame; with the target where the data has it.

        training  whether the data is what the recipe was fitted on: steps that drop or add rows take part only then

        A DataFrame's index is kept. Columns that were not there at fitting are left out; `attrs["clary"]` notes them.
        Raises DataError for columns that are missing or of another kind, StepError for values a step cannot take.
        """
        import pandas as pd

        scan = scan_of(data)
        batch = in_one_batch(self.transform_batches(scan, training=training))
        frame = batch.to_pandas()
        if isinstance(data, pd.DataFrame):
            frame.index = data.index.take(batch.row_numbers) if training else data.index
        notes = self.notes(scan)
        if notes:
            frame.attrs["clary"] = list(notes)
        return frame

    def notes(self, data: Data) -> tuple[str, ...]:
        """A sentence on the columns of a table that are ignored, since they were not there at fitting."""
        extra = [name for name in scan_of(data).arrow_schema.names if name not in self.columns.names]
        return (f"The recipe was fitted without {some(extra)}: left out.",) if extra else ()

    def transform_batches(
        self, data: Data, *, training: bool = False, progress: Progress | None = None
    ) -> Iterator[Batch]:
        """The features batch by batch, computed on all cores; no more of them are in memory than are being used.

        Raises as `transform`.
        """
        scan = scan_of(data)
        target = not self.recipe.target or self.recipe.target in scan.arrow_schema.names
        if training:
            check_columns(scan.arrow_schema, [self.recipe.target] if self.recipe.target else [])
        plan = self.plan(target=target, training=training)
        wanted = pa.schema([self.columns.field(name) for name in self._in_table_order(plan)])
        return plan.transform(conformed(scan, wanted), progress=progress or quiet)

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

        with shown_on_terminal(progress) as shown:
            return list(sinks.write(self.transform_batches(data, training=training, progress=shown), target, **options))

    # ---- rows ----

    def transform_row(self, row: Mapping[str, Any] | Sequence[Any]) -> tuple[Any, ...]:
        """The features of one row, in the order of `names`: bit for bit what `transform` makes of it.

        row  a mapping from column to value, None where missing; or a sequence with the values of all columns but the
             target in the order in which the table had them, None or "" where missing

        Numbers come out as floats, whole numbers beyond 2**53 too. Raises DataError for values that do not fit.
        """
        return self.row_function()(row)

    def row_function(self) -> RowFunction:
        """The same as a function, made once: microseconds a row."""
        return self._row_function

    @cached_property
    def _row_function(self) -> RowFunction:
        plan = self.plan(target=False, training=False)
        target = self.recipe.target
        columns = pa.schema([field for field in self.columns if not target or field.name != target])
        steps = list(zip(plan.labels, plan.steps, strict=True))
        return compiled(steps, columns, self._in_table_order(plan), plan.outputs)

    # ---- elsewhere ----

    def to_sklearn(self) -> Any:
        """A fitted sklearn.pipeline.Pipeline that does the same to DataFrames with the columns `needed`.

        Raises DataError for a recipe that leaves no features.
        """
        from clary.data.recipe.sklearn import pipeline

        self._check_features()
        return pipeline(self.plan(target=False, training=False), self.schema_in)

    def to_onnx(self) -> Any:
        """An onnx.ModelProto that does the same. Raises DataError naming each step that has no ONNX form, and why."""
        from clary.data.recipe.onnx.model import model

        self._check_features()
        return model(self.plan(target=False, training=False), self.schema_in, self.names)

    def _check_features(self) -> None:
        if not self.names:
            raise DataError("the recipe leaves no features: no column but the target comes out of it")

    def __repr__(self) -> str:
        called = f" {self.recipe.name!r}" if self.recipe.name else ""
        return f"<FittedRecipe{called}: {len(self.schema_in.names)} columns to {len(self.names)} features>"


def _reads(step: FittedStep, made: str, columns: set[str]) -> bool:
    """Whether the column of this name that the step makes depends on one of these columns."""
    reduced = step.only({made})
    return reduced is not None and bool(columns & set(reduced.inputs))
