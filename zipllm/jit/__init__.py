"""The one place that knows numba: compiling loops, and doing without it.

compiled  decorators for compiled loops, and whether numba compiles here
cache     compiled code on disk
prefetch  the processor's prefetch instruction
meeting   threads of compiled code that wait for each other
"""
