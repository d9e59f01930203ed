"""``zipllm classify``.

command    the command: reads the texts, runs the methods, prints
flags      its options
table      its results as a table and as JSON
"""
