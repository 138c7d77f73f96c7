"""A fitted recipe behind an endpoint: raw rows in, features out. The serving half of the image `clary/data`."""
