"""An honest benchmark: real files, real decoders, each codec in a process of its own, nothing shown unverified.

spec           ``zstd:19/long``: what the user types -> a codec and its settings
codecs         the protocol, and the list of all codecs
conventional   gzip, bzip2, xz, zstd, brotli, ppmd, lz4
neural         zipllm itself, every model and level
predictors     classical predictors and an LSTM in front of zipllm's own coder
external       any program, through an entry in a TOML file
inputs         corpora, slices, files and folders -> files to measure
suite          a benchmark as a TOML file
worker         the process in which a codec runs
process        the other end of it: starts, times out, kills
runner         files x codecs -> rows, each decoded and compared
result         a row, and the schema of its JSON
environment    on what machine, with which versions
contamination  was the model trained on this file?
totals         rows -> one line per corpus and codec
compare        these rows against those of an earlier run
tables         rows -> Markdown and CSV
"""
