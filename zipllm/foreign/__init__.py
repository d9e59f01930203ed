"""Checkpoints of other programs: open models of the Llama family, read into one form.

checkpoint   what is read of a model: shape, tokenizer, tensors
convert      a checkpoint -> a model file
source       which reader a path or name needs
folder       folders of the Hugging Face library, without that library
folder_files the files of such a folder, read within limits
gguf_file    GGUF files
gguf_header  their header, parsed within limits
rotary       frequencies of rotary positions, with their scalings
naming       names, origins and licences as a card has them
tokenizers   their tokenizers, made lossless
"""
