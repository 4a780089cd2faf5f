"""Reports: one sweep's report, or the page of all, put together and written.

Owns which part comes where, and the only code of analysis that writes files. Computes no numbers itself.
"""
