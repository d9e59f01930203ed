"""A model made ready to code.

engine       the ``Engine``, loaded from a name, path, id, or the bytes of a model file
huggingface  an engine around a causal model of the Hugging Face library
"""
