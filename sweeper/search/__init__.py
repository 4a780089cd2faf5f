"""Search: proposes the trials of a searched sweep, and journals what was known at each proposal.

Owns the journals of searches, their fold, the samplers, and the source from which a dealer takes searched trials. Deals
and trains none itself (`dealing` and `worker` do).
"""
