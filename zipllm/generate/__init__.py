"""The other direction: text from a model.

sampling    frequencies -> a token drawn, in integers
generation  a prompt continued, or random bits decoded
by_codec    bytes drawn by the lengths a conventional codec gives them
"""
