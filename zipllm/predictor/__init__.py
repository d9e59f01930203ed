"""Tokens so far -> frequencies of the next token.

The codec gets a predictor inside an ``Engine``; ``bench/predictors.py`` shows the shortest way to make one.

base     the ``Predictor`` protocol, its traits, and selections of columns
ngram    counts of tokens in contexts of up to two
lstm     an LSTM over bytes that learns while it codes, for the benchmark
model    the network of a model file, on the fastest implementation that works here
network  the interface of those implementations, their self-test, and the plain torch one
late     starts with plain torch and changes to compiled kernels when compiling pays
check    whether a model file is intact and computed correctly on this machine
"""
