"""Binary decisions to words and back. Knows no model, no vocabulary and no file.

range_coder  the wrapper around constriction's range coder: the definition of the coded words
fused        the same words from compiled loops, for callers that code one decision at a time
"""
