"""``zipllm bench``.

command    the command: measures, writes and prints
flags      its options
output     the files with results, and what is kept of an interrupted run
tables     the tables on standard output
"""
