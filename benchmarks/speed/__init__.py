"""How fast zipllm is: ``python -m benchmarks.speed STUDY... --data-dir DIR --json rows.jsonl``.

__main__   studies by name, the command line, and the table
row        what every study yields, and the settings it gets
processes  whole commands with their start: default, sizes, lanes, blocks, threads, levels, reference, start, compile
stages     where the time goes in one process
shapes     tokens per second of random networks
kernels    the parts of the compiled network
coder      coding without history
gpu        a GPU that blocks share, and its network alone
training   a training step as configured and in eager float32
"""
