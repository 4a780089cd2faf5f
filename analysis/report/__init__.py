"""Reports: builds and writes one sweep's report, or the page of all sweeps.

Owns the order of the parts, and the only code of analysis that writes files. Computes no numbers itself.
"""
