"""Labels by compression."""
