"""Contract suites, a clock moved by hand, failing doubles; public, so that an outside backend can use them."""
