"""The reasons of answers: how much each column, or group of columns, adds to an answer beside that of other rows."""
