"""The recipe of bench/data/recipe.py in scikit-learn on pandas: fit_transform; written where a file is named."""

import json
import sys

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
)

source, target, recipe = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
frame = pd.read_parquet(source, columns=recipe["columns"])


def numeric(name):
    steps = []
    if name in recipe["impute"]:
        steps.append(SimpleImputer(strategy="median"))
    if name in recipe["log1p"]:
        steps.append(FunctionTransformer(np.log1p, feature_names_out="one-to-one"))
    if name in recipe["robust"]:
        steps.append(RobustScaler())
    if name in recipe["min_max"]:
        steps.append(MinMaxScaler())
    if name in recipe["bin"]:
        steps.append(
            KBinsDiscretizer(
                recipe["bins"], encode="ordinal", strategy="quantile", quantile_method="linear", subsample=None
            )
        )
    return make_pipeline(*steps)


def category(name, encoder):
    if name in recipe["most_frequent"]:
        return make_pipeline(SimpleImputer(strategy="most_frequent", missing_values=np.nan), encoder)
    return make_pipeline(encoder)


names = [*recipe["robust"], *recipe["min_max"], *recipe["bin"]]
parts = [(name, numeric(name), [name]) for name in dict.fromkeys(names)]
parts += [(n, category(n, OneHotEncoder(sparse_output=False, dtype=np.uint8)), [n]) for n in recipe["one_hot"]]
parts += [(n, category(n, OrdinalEncoder()), [n]) for n in recipe["ordinal"]]
parts += [(n, "passthrough", [n]) for n in recipe["keep"]]
for name in [*recipe["one_hot"], *recipe["ordinal"]]:
    frame[name] = frame[name].astype(object).where(frame[name].notna(), np.nan)
made = ColumnTransformer(parts, verbose_feature_names_out=False).set_output(transform="pandas").fit_transform(frame)
if target:
    made.to_feather(target)
print(json.dumps({"columns": made.shape[1]}))
