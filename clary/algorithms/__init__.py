"""One manifest per algorithm: its images, versions, hyperparameters, metrics and formats, as data.

Server, tuner, doctor, documentation and the algorithm's own program read the same manifest; a module here that holds an
`ALGORITHM` is all that is needed to add an algorithm whose program exists (see `registry`).
"""
