"""The command line: one module a command; the only place where an error becomes an exit code."""
