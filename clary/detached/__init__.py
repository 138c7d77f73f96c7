"""Processes that outlive whoever started them, and can be found, signalled and waited for by any other process."""
