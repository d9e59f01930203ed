"""A process that has imported the command line once and forks a copy for every run.

Starting an interpreter and importing numpy and numba takes most of a second; a fork takes milliseconds and has the same
exit codes, signals and streams. Started as ``python -m tests.cli.zygote SOCKET``.

Each connection carries one request: a JSON object (``arguments``, ``folder``, ``environment``, ``file_size``) with
the three standard descriptors. The answer is two lines: the process id, and, when it has ended, its exit code.
"""

import json
import os
import resource
import signal
import socket
import sys
from typing import Any, NoReturn

REQUEST_BYTES = 1 << 16


def serve(path: str) -> dict[str, object]:
    """Answer requests for ever; return only in a forked copy, with its request."""
    import zipllm.cli.app
    import zipllm.codec.decoder
    import zipllm.codec.encoder  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # watchers are nobody's concern
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listener.accept()
            with connection:
                message, descriptors, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 3)
                if os.fork() == 0:
                    listener.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    watch(connection, descriptors)
                    for target, descriptor in enumerate(descriptors):
                        os.dup2(descriptor, target)
                        os.close(descriptor)
                    request: dict[str, object] = json.loads(message)
                    return request
                for descriptor in descriptors:
                    os.close(descriptor)


def watch(connection: socket.socket, descriptors: list[int]) -> None:
    """Fork the copy that does the work, tell of its beginning and end; return in that copy only."""
    process = os.fork()
    if process == 0:
        connection.close()
        return
    for descriptor in descriptors:  # held here too, they would never look closed to the other side
        os.close(descriptor)
    connection.sendall(f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(request: dict[str, Any]) -> None:
    """Take over the streams, arguments, folder, environment and limit of a request."""
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
    sys.argv = ["zipllm", *request["arguments"]]
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size"], request["file_size"]))


def leave(code: object) -> NoReturn:
    """End as the interpreter would, without its quarter of a second of taking modules apart."""
    try:
        sys.stdout.flush()
    except OSError:
        code = 120
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    become(serve(sys.argv[1]))
    from zipllm.cli import main

    try:
        main()
    except SystemExit as end:
        leave(end.code)
