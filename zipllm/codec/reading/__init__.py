"""Archive files, read from the start or anywhere.

archive_file   an archive as a binary file object
decoded_bytes  an archive's content as a stream
random_access  blocks found by offset
extract        a range of bytes
salvage        what is whole in a damaged archive
"""
