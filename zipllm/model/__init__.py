"""Networks in two forms: floats for training, integers for coding. Each architecture is a folder.

architecture   the registry of architectures, and what each provides
config         what a config tells the rest of zipllm
parameters     config and integer tensors of a network
float_network  the float form, as training uses it
transformer/   the Transformer
llama/         Llama and its relatives, imported from open checkpoints
arithmetic     integer operations that are exact on any device
ranges         bounds and fraction bits of the integer arithmetic
frequencies    logits to frequencies
rounding       int8 rounding inside a float form
gap            bits that both forms spend on the same tokens
"""
