"""Tokens so far -> integer frequencies of the next token; every model is behind one protocol."""
