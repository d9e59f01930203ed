"""A model made ready to code.

engine       model file -> tokenizer, predictor, decision tree
named        a name, path, id or Hugging Face folder -> engine
huggingface  a Hugging Face model -> engine for this machine
"""
