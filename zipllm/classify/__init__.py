"""Labels by compression: a text belongs where it costs least.

documents     texts with labels from JSON lines or folders, and samples of them
ncd           nearest neighbors by normalized compression distance, with any codec of the benchmark
class_costs   what texts cost behind the texts of a class; which codec does it how
  primed        zipllm: history, Transformer or both, their state kept after the class's texts
  continued     streams that go on: gzip's state copied, PPMd's and others' in a forked process
  forked          that process
  tuned         a Transformer fine-tuned on each class
votes         distances or costs -> a chance for each label, ties shared
scores        chances and true labels -> accuracy, F1, confusion
baselines     the most frequent label; TF-IDF with logistic regression
runs          all of these as rows of one table
"""
