"""What data costs under a model.

evaluate     bits per byte of files, in the context an archive gives
costs        bits of every token
explanation  costs of tokens with what was expected instead
raw_inputs   files, slices and corpora to measure
"""
