"""The Transformer: float form for training, exact integer form for coding, and the file that holds it."""
