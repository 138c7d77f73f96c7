"""One process per task: brings its inputs, runs its program, takes its outputs; outlives the server."""
