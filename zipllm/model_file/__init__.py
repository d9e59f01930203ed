"""The file that holds a model."""
