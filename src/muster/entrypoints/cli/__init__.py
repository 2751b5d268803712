"""The command line: `muster`."""
