"""The archive format, field by field."""
