"""Numbers: readings of records, estimators over seeds, and the cells of tables.

Owns how an endpoint is read and how seeds are summarised. Draws nothing and judges nothing.
"""
