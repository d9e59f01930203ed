"""A model made ready to code.

engine  the ``Engine``, from a model file or a model of the Hugging Face library, by name, path, id or bytes
"""
