"""The model host: answers /ping and /invocations for one model, as a container behind an endpoint does.

A program brings `Handlers` (handlers) and calls `serve` (server), which returns at SIGTERM.
"""
