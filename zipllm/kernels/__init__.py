"""Faster forms of the integer network, equal to it bit for bit.

cpu     compiled with numba, and the parts that every architecture's kernels are made of
llama   those of the Llama architecture, for the CPU
gpu     compiled with Triton
checks  bounds of what kernels are given, since they index memory without looking
"""
