"""Archives kept as files: what every version must read, and what it must refuse."""
