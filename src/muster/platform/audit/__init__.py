"""Audit: a Merkle tree over the event log, signed checkpoints, proofs, and their verification.

The public face is what works offline. The rest is put together by the composition root alone, so
that checking an export loads no database.
"""

from muster.platform.audit.notes import PublicKey
from muster.platform.audit.offline import ExportProblem, ExportReport, verify_export

__all__ = ["ExportProblem", "ExportReport", "PublicKey", "verify_export"]
