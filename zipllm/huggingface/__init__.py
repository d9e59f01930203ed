"""Models of the Hugging Face library.

folder             a model folder, checked and loaded
tokenizer          its tokenizer, lossless for every byte string
predictor          its logits -> integer frequencies
numerics           what those floats depend on
pseudo_likelihood  scores of masked models
"""
