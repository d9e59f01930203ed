"""The integer network on a GPU: Triton kernels between the products of ``torch._int_mm``.

network      the interface of the reference
forward      one pass: a model's tensors on the device, and the kernels in order
layers       kernels for embedding, norms, residual stream, heads, activation
attention    kernels for attention over the window
frequencies  kernels from logits to cumulative frequencies
memory       keys and values of all lanes, and the order of work on the device
graphs       repeated work captured as CUDA graphs
steps        single steps of several threads batched together
copies       predictions on their way to the host
"""
