"""Corpora and users' files: finding, fetching, checking and reading data, and windows of token ids for training.

registry      known corpora, from corpora.toml: files, digests, licences
local         local copies of corpus files, verified by digest
fetch         downloads corpora over https
permission    refuses to learn from benchmarks
slices        parts of a file: ``enwik8[95M:100M]``
reading       finds data files, and cuts their content into documents
unpack        raw bytes of files, packed or not, with a limit
inputs        the data that a user names -> files of known size and digest
split         documents to hold back for validation
windows       training windows from token files
text          counts characters and words
samples/      the bundled corpus
"""
