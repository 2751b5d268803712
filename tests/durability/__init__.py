"""The promise, proven: processes are killed, and nothing that happened is lost or repeated."""
