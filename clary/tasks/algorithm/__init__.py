"""What the built-in algorithms share: each brings its manifest (clary.algorithms) and the functions that are its own.

program                     `train` or `serve`; a failure becomes FailureReason
log                         on stdout, as AWS's images write it
hyperparameters, channels   the job's configuration and data, checked against the manifest
cluster                     the hosts that train one model together
stopping                    SIGTERM: training ends after the round under way
checkpoints, artifacts      models on disk, whole or not at all
"""
