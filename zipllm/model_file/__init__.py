"""The file that holds a model.

file            saves and loads model files
store           finds installed models by name, path or id
build           an integer network, a tokenizer and a card become a model
layout          the header: tensors and where they lie
tensors         which tensors a config needs
metadata        the JSON in the header: config, tokenizer, card, self-test
canonical_json  JSON with one spelling
card            who made the model, from what, and how good it is
card_markdown   the card as Markdown
identity        the model id
limits          how large a model file may be
self_test       frequencies that every machine must reproduce
summary         models by their headers alone, without torch and numpy
provenance      digests of training files in a card
"""
