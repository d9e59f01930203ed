"""File policy of the command line: names, sources, safe outputs and signals. Knows nothing of compression.

names      suffix rules, the one escaping function for names, the error that carries a name
mirror     many files: results in a folder of their own, what is done, what is compressed already
walk       arguments -> the files they mean (``-``, folders with -r, links with -f)
source     opening what is read, and removing it afterwards when asked
output     temporary file, metadata, fsync, publish; or straight into a pipe, device or standard output
stream     byte streams whose errors name the file
signals    SIGINT, SIGTERM and SIGHUP: remove what is unfinished, then exit with 128 + the signal
"""
