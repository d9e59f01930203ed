"""From token frequencies to binary decisions with probabilities, for both directions.

decision_tree   the byte trie of a vocabulary as a binary tree of decisions
decisions       frequencies + tokens -> bits and probabilities; frequencies + coder -> tokens
lockstep        compiled kernels of ``decisions``
"""
