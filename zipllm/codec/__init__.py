"""Joins all stages: bytes -> blocks -> lanes -> tokens -> frequencies -> decisions -> archive, and back.

levels          the table of compression levels
options         the choices of an encoder
encoder         original bytes -> archive
block_encoding  one block -> a verified record
samples         sound, pictures and DNA, sample by sample if that is smaller
choose          the coding that makes a block smallest
decoder         archive -> original bytes
block_decoding  one record -> checked bytes
block/          one block, coded and decoded
reading/        archive files, read from the start or anywhere
threads/        threads that share work and keep its order
"""
