"""Threads of zipllm that are alive; those of other libraries come and go as they like."""

import threading


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("zipllm")]
