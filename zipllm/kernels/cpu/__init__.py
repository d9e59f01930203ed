"""The integer network on the CPU: one compiled call per pass, which releases Python's lock.

network      the interface of the reference, and which thread gets which rows
threads      a pool of threads
forward      the whole network in order
product      matrix products out of tiles, requantized
tile         the innermost product, 4 rows by 64 columns in registers, on the processor's int8 instructions
elementwise  embedding, norms, residual stream, activation
attention    keys and values stored, attention over the window
frequencies  logits to cumulative frequencies
cache        the state of lanes, and buffers
layout       how weights, keys and values lie in memory, and a model's tensors so packed
"""
