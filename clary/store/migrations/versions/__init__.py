"""One file per revision, numbered; schema.REVISION names the last."""
