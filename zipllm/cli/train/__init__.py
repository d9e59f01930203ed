"""``zipllm train``.

command    the command: trains, or rehearses a run
flags      its options
recipe     from options to a recipe
stopping   signals: every stage ends soon and says what is saved
view       how a run looks: a live panel, or plain lines
"""
