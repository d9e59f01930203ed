"""``zipllm eval``.

command    the command, for models that predict from left to right
masked     the same for masked models, which have no code length
results    the results as JSON and in words
table      the table on standard output
"""
