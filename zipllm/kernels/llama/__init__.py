"""The integer Llama on the CPU: one compiled call per pass, out of the tiles of `zipllm.kernels.cpu`.

network      the interface of the reference
forward      the whole network in order
attention    keys and values stored, attention over the kept tokens and the window
positions    how far positions turn the pairs of a head
elementwise  norms, rounding, the gate
product      matrix products, requantized with a scale for each row
cache        the state of lanes, and buffers
layout       how weights lie in memory, and a model's tensors so packed
"""
