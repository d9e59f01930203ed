"""The other direction: text from a model.

sampling    frequencies -> a drawn token, in integers
generation  a prompt continued, or random bits decoded
by_codec    bytes drawn by the lengths that a conventional codec gives them
"""
