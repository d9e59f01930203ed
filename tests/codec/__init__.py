"""Blocks, lanes, encoder, decoder, verification: whole archives, with a predictor that needs no network."""
