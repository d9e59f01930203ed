"""The benchmark: codecs in processes, verified rows, totals and tables."""
