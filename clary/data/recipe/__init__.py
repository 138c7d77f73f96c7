"""Recipes: steps on a table, declared in YAML or Python, fitted once, then applied the same everywhere."""

from clary.data.recipe.recipe import FittedRecipe, Recipe
from clary.data.recipe.row.function import RowFunction
from clary.data.recipe.step import FittedStep, Step

__all__ = ["FittedRecipe", "FittedStep", "Recipe", "RowFunction", "Step"]
