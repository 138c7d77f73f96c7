"""The XGBoost built-in algorithm: `python -m clary.tasks.xgboost train|serve`.

    hyperparameters ──> train ──> model (xgboost-model) ──> serve ──> answers
    channels ───────────┘  └── metrics, checkpoints, rendezvous (several hosts)

Reference: "XGBoost algorithm with Amazon SageMaker AI" (developer guide).
"""
