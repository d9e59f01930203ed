"""Scripts that measure zipllm, and their results; see README.md. Not part of the installed package."""
