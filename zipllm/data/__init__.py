"""Corpora and files: where data comes from, and how training reads it.

registry    known corpora: contents, licence, digests
local       local copies of corpus files
fetch       downloads of corpora, each file checked
inputs      arguments to files of known size and digest
slices      parts of files: ``enwik8[95M:100M]``
unpack      raw bytes of packed files, in pieces
reading     local files, cut into documents
split       which documents are held back for validation
permission  which data no model may learn from
text        characters and words, counted
windows     training windows from token files
"""
