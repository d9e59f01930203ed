"""Decision trees, decisions of whole chunks, decoding in lock-step."""
