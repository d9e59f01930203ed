"""Faster forms of ``zipllm.model.transformer.integer``, equal to it bit for bit.

What they are given is looked at in ``checks.py``, since kernels index memory without looking.

On the CPU (``cpu.py``) a whole pass over the network is one compiled call that holds no lock of Python's, in
loops small enough to read one by one:

    layout.py       shapes: how weights, keys and values lie in memory
    pack.py         a model's tensors in that layout
    tile.py         the innermost product, 4 rows by 64 columns in registers, on the processor's int8 instructions
    product.py      whole matrix products out of tiles, requantized
    elementwise.py  embedding, norms, residual stream, activation
    attention.py    keys and values remembered, attention over the window
    frequencies.py  logits to cumulative frequencies
    forward.py      all of it in order
    cache.py        what lanes remember
    cpu.py          threads, and the interface of the reference

On a GPU (``cuda.py``) Triton kernels do what lies between the products of ``torch._int_mm``:

    gpu_parameters.py   a model's tensors, side by side where one kernel takes several
    gpu_layers.py       embedding, norms, residual stream, heads, activation
    gpu_attention.py    attention over the window
    gpu_frequencies.py  logits to cumulative frequencies
    cuda.py             all of it in order, single steps as a CUDA graph, and the interface of the reference
"""
