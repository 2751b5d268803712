"""Which steps are calls of models, said in the words of the index on them."""

from sqlalchemy import ColumnElement, literal

from muster.domains.work.journal import Step, StepKind

# In the text of the statement and no parameter: else databases do not see that the index fits.
IS_CALL: ColumnElement[bool] = Step.kind == literal(StepKind.MODEL.value, literal_execute=True)
