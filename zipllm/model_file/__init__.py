"""The file that holds a model.

file            builds models, and saves and loads their files
store           finds installed models by name, path or id
summary         models by their headers alone, without torch and numpy
layout          tensors in the file, and where the header says they lie
canonical_json  JSON with one spelling
card            who made the model, from what, and how good it is; the card as Markdown
identity        the model id
limits          how large a model file may be
self_test       frequencies that every machine must reproduce
provenance      digests of training files in a card
"""
