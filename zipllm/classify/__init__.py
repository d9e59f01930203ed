"""Labels by compression: a text belongs to the class behind whose texts it costs least.

documents     labeled texts from JSON lines or folders, samples of them, and splits
ncd           nearest neighbors by normalized compression distance, with any codec of the benchmark
class_costs   the cost of texts behind the texts of a class, by codec
  primed        zipllm: the state of history, Transformer or both after the class's texts
  continued     streams that continue: a copy of gzip's state, a fork of the process for PPMd and others
  forked          that process
  tuned         a Transformer fine-tuned on each class
votes         distances or costs -> a chance for each label; chances -> accuracy, F1, confusion
baselines     the most frequent label; TF-IDF with logistic regression
runs          methods and baselines as rows of one table
"""
