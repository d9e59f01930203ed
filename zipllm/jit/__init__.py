"""numba's door.

compiled  decorators for compiled loops, and whether numba compiles here
prefetch  the processor's prefetch instruction
"""
