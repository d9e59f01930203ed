"""The integer network as Triton kernels for a GPU."""
