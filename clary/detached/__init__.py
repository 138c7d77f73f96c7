"""Processes that outlive the process that started them, and can be found, signalled and waited for by others."""
