"""``python -m zipllm``: the same as the ``zipllm`` command."""

from zipllm.cli import main

if __name__ == "__main__":
    main()
