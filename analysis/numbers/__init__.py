"""From records to numbers: readings, estimators and the cells of tables."""
