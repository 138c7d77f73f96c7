"""AWS protocols <-> plain dicts; knows shapes, knows no resource."""
