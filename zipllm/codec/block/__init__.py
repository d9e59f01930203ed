"""One block, coded and decoded.

lanes               a block is cut into streams that are coded side by side
setup               parameters, checks, lanes, memory and coder of a block
coding              tokens and predictions -> words: as the model predicts, or mixed with the history
model_block         coding by a model: tokens, predictions, coder; verification with a draft
history_block       coding by the block's own history alone
conventional_block  coding by zstd, LZMA or bzip2, or stored
lane_groups         predictions of known tokens by several threads
decoded_lanes       lanes decoded step by step
"""
