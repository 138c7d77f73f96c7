"""The program of the image `clary/data`: it applies a recipe to files in a processing job, and serves a fitted recipe.

__main__   python -m clary.tasks.recipe_job [serve]
options    what it takes             hosts      which rows are this host's
job        read, fit, transform      features   what is written, in place once all of it is complete
messages   the library's messages, with the program's options in them
"""
