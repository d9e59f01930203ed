"""All tests; one package per area, named like the part of zipllm that it tests."""
