"""The scikit-learn image: `python -m clary.tasks.scikit_learn train | serve`."""
