"""Programs run inside tasks: they speak the /opt/ml contract and import nothing of Clary outside this folder."""
