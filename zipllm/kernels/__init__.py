"""Faster forms of the integer network, equal to it bit for bit.

cpu     compiled with numba
gpu     compiled with Triton
checks  bounds of what kernels are given, since they index memory without looking
"""
