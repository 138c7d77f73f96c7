"""The program of the image `clary/data`: it applies a recipe to files in a processing job, and serves one behind an
endpoint.

    __main__   python -m clary.tasks.recipe_job [serve]
    options    what it takes           hosts   the rows that are this host's
    job        read, fit, transform    features   what is written, in place once all of it is whole
"""
