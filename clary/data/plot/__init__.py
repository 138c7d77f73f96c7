"""Plots of a table. Each function gives a Figure of its own: nothing is shown, no global state of pyplot is touched.

`data` is a DataFrame, an Arrow table, a scan of something larger than memory, or a Batch. Of a large table a random
sample is drawn, always the same one; the caption has how many rows it shows and what was left out.
"""

from clary.data.plot.categories import bars
from clary.data.plot.distributions import box, hist
from clary.data.plot.files import image, png, svg
from clary.data.plot.maps import pca_map, tsne_map
from clary.data.plot.matrices import heatmap, missingness
from clary.data.plot.relations import pairs, scatter
from clary.data.plot.steps import before_after

__all__ = [
    "bars",
    "before_after",
    "box",
    "heatmap",
    "hist",
    "image",
    "missingness",
    "pairs",
    "pca_map",
    "png",
    "scatter",
    "svg",
    "tsne_map",
]
