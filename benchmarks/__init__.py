"""Scripts that measure zipllm, and their results; README.md says what each answers. Not part of the installed package."""
