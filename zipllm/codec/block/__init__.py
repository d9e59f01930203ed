"""One block, coded and decoded.

lanes          a block is cut into streams that are coded side by side
model_block    coding by a model: tokens, predictions, coder
history_block  coding by the block's own history alone
conventional_block  coding by zstd, xz or bzip2, or stored
coders         predictions -> words: the model's own, or mixed with the history
styles         what a block is taken for: text or rows
lane_groups    predictions of lanes by several threads
decoded_lanes  lanes decoded step by step
draft          decoding a block whose content is known, for verification
"""
