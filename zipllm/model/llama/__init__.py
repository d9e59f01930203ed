"""Llama and its relatives, imported from open checkpoints: a config, a float form, an integer form.

architecture  all of it, for the registry
config        the shape
float_form    as the checkpoint computes, for measuring and fine-tuning
parameters    the integer form's tensors
integer       the exact network in plain torch
bounds        proof that no number in it overflows
quantize      float to integers
calibrate     activations of real text, from which scales follow
restore       integers to float, for fine-tuning
"""
