"""Corpora: the registry of known ones, local copies, fetching; reading files, and windows of ids for training."""
