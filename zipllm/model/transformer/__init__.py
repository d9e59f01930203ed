"""The Transformer: its float form for training, its exact integer form, and the way between them.

architecture  what the registry of architectures asks for
config        the shape, presets and the tensors of the integer form
float_form    the network in floats, for training
integer       the network in integers: the reference
parameters    config and tensors of the integer form
bounds        proof that no integer overflows
calibrate     activations of the float form on real sequences, and the clipping points they give
quantize      float form to integers
scales        scales of least error and their fixed-point form
restore       integers back to a float form
"""
