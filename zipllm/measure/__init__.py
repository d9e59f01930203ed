"""What data costs under a model.

rates        bits per byte, token, character and word under a model, without coding
costs        bits of every token on the real coding path
explanation  costs of tokens with what was expected instead
raw_inputs   files, slices and corpora to measure
"""
