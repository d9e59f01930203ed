"""Corpus to checkpoint to model file."""
