"""Names, sources, outputs, folders and signals."""
