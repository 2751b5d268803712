"""Turns expected errors into a line of text and an exit code."""

import sqlite3

from muster.entrypoints.cli.terminal import Refusal

FAILED, UNSAFE, WAITING, INTERRUPTED = 1, 2, 3, 130
"""Exit codes: a command failed, the settings are refused, a run waits for people, Ctrl-C."""


def failure_of(error: Exception) -> tuple[str, int] | None:
    """Return what to print for an error and the exit code; None for one that is a defect."""
    if isinstance(error, Refusal):
        return error.message, error.code
    # Imported here: with no error at hand nobody shall wait for these.
    from pydantic import ValidationError
    from sqlalchemy.exc import DBAPIError

    from muster.kernel.crypto import MasterKeyInvalid
    from muster.kernel.errors import AppError
    from muster.kernel.settings import UnsafeSettings
    from muster.migrations import SchemaUnknown

    match error:
        case UnsafeSettings() | MasterKeyInvalid():
            return str(error), UNSAFE
        case AppError():
            fields = [f"  {f.field}: {f.message}" for f in error.errors if len(error.errors) > 1]
            text = "\n".join([error.detail, *fields])
        case ValidationError():
            wrong = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            text = "\n".join(["This cannot be used:", *wrong])
        case SchemaUnknown():
            text = str(error)
        case DBAPIError():
            text = f"The database refused: {error.orig}. `muster doctor` says what is wrong."
        case sqlite3.Error():
            text = f"The database refused: {error}. `muster doctor` says what is wrong."
        case OSError():
            name = f": {error.filename}" if error.filename else ""
            text = f"{error.strerror or error}{name}"
        case _:
            return None
    return text, FAILED
