"""From token frequencies to binary decisions with probabilities, for both directions.

The model's word as it is:

    decision_tree   the byte trie of a vocabulary as a binary tree of decisions
    predictions     a model's predictions, whole or by columns; what fails with them
    decisions       frequencies + tokens -> bits and probabilities; frequencies + coder -> tokens
    lockstep        compiled kernels of ``decisions``

Mixed with what the block has shown so far (FORMAT.md, section 12), read top down:

    adaptive        chunks of tokens, in the encoder and the decoder
    trial           what tokens would cost, without learning them
    token_path      one token, decision by decision: the code that both share
    prediction      one decision: all opinions, one probability, and what is learned when the bit is known
    contexts        what a lane has seen, and the contexts made from it
    rows            rows of numbers and pixels, and contexts that need no text
    machine_code    x86 instructions, and the filter that makes the targets of calls alike
    structure       lines, fields, keys, brackets, quotes and tags, as far as a lane has seen them
    hashing         the hash of contexts
    history         bit histories by context, of bits and of the ends of tokens
    matches         earlier places that may be repeated
    mixer           many opinions become one
    vectors         the mixer's inner loops as vector instructions
    memory          all arrays that learn
    prior           what they know beforehand
    tables          constants
"""
