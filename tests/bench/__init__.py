"""The benchmark: codecs as processes, rows that are verified or say why not, totals, tables."""
