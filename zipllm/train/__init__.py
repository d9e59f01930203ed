"""Corpus to checkpoint to model file.

run           a whole run: data, training, export
rehearsal     a dry run
run_folder    one process in the folder of a run
recipe        all that makes a model: data, shape, settings, card
recipe_file   recipes as TOML files
config        the settings of the training loop
corpus        files to token files, with the tokenizer learned on the way
vocabulary    the tokenizer of a run
token_files   documents to token files
manifest      data.json: what a run read
enough        whether there is enough data to learn from
start         what fine-tuning starts from: a model file or a checkpoint
trainer       the training loop
loss          the cross-entropy of a window
optim         Muon and AdamW
compiler      whether torch.compile pays on this machine
distributed   several processes under torchrun
sharding      each process keeps a part of the weights
validation    bits per byte of held-back data
checkpoint    weights, optimizer state and counters on disk
runlog        metrics.jsonl and TensorBoard
export        checkpoint to model file
"""
