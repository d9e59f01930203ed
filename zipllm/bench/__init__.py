"""An honest benchmark: real files, real decoders, each codec in a process of its own, no number without verification.

protocol       how users write a codec (``zstd:19/long``), what a codec is, and the facts about it that count
codecs         the registry of all codecs, and lists of codecs
  libraries      gzip, bzip2, xz, zstd, brotli, ppmd, lz4
  neural         zipllm itself, every model and level
  predictors     classical predictors and an LSTM in front of zipllm's coder
external       any program as a codec, through an entry in a TOML file
inputs         corpora, slices, files and folders -> files to measure
suite          a benchmark as a TOML file
runner         files x codecs -> rows, each decoded and compared
  process        starts, times out and ends the process of a codec
  worker         that process
environment    machine, versions, command and date of a run
contamination  whether a model has learned from a file
result         a row, and the schema of its JSON
totals         rows -> one line per corpus and codec
columns        the columns and cells of the tables
tables         rows -> Markdown and CSV
compare        changes against the rows of an earlier run
"""
