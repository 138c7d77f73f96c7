"""Recipes: what is to be done with a table, said in YAML or Python, fitted once, and then the same everywhere."""

from clary.data.recipe.fitted import FittedRecipe
from clary.data.recipe.recipe import Recipe
from clary.data.recipe.row import RowFunction
from clary.data.recipe.step import FittedStep, Step

__all__ = ["FittedRecipe", "FittedStep", "Recipe", "RowFunction", "Step"]
