"""Corpora on disk: finding files, reading them, and windows of token ids for training."""
