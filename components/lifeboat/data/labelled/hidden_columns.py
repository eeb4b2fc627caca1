"""The columns of labelled rows beside the schema's: whose a row is, what was answered, and who says what was true."""

from __future__ import annotations

from lifeboat.config.sources import LONGEST
from lifeboat.usecase.schema import Column

PUID, ROW, VERSION, SCORE = "__puid", "__row", "__version", "__score"
PREDICTED_AT, LABELLED_AT, SOURCE = "__predicted_at", "__labelled_at", "__source"
# The end of the year 9999, beyond which there is no date.
_LAST_SECOND = 253_402_300_799
HIDDEN = (
    Column(PUID, "string", max_length=1024, description="Identifier of the request"),
    Column(ROW, "integer", minimum=0, description="Position of the row in its request"),
    Column(VERSION, "string", nullable=True, description="Version of the model that answered"),
    Column(SCORE, "float", description="What it answered: the probability that is watched, or the value"),
    Column(PREDICTED_AT, "float", minimum=0, maximum=_LAST_SECOND, description="Seconds since 1970"),
    Column(LABELLED_AT, "float", minimum=0, maximum=_LAST_SECOND, description="Seconds since 1970"),
    # A part from before truths had sources does not have it.
    Column(SOURCE, "string", nullable=True, max_length=LONGEST, description="Who said what was true"),
)
