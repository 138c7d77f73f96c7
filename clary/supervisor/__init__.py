"""One process per task: stages its inputs, runs its program, uploads its outputs; outlives the server."""
