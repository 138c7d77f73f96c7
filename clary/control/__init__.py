"""Makes records come true; knows actions, knows no family."""
