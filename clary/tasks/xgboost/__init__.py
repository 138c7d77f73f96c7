"""The XGBoost built-in algorithm: `python -m clary.tasks.xgboost train|serve`.

    hyperparameters ──> training ──> model (xgboost-model) ──> serving ──> responses
    matrices ───────────┘  └── boosting: callbacks, custom_metrics, collective (several hosts)

Reference: "XGBoost algorithm with Amazon SageMaker AI" (developer guide).
"""
