"""One block, coded and decoded.

row_search          rows and numbers in binary data, and programs
setup               lanes, parameters, checks, memory and coder of a block
coding              tokens and predictions -> words: as the model predicts, or mixed with the history
predicted_block     coding by a model or by the history alone; verification with a draft
transcoding         text in GB18030 or UTF-16 <-> UTF-8, in front of a prediction
conventional_block  coding by zstd, LZMA or bzip2, or stored
lane_groups         predictions of known tokens by several threads
decoded_lanes       lanes decoded step by step, few of them ahead of what is known
guessing            what comes next, if it repeats what was before
"""
