"""The AWS CLI, imported once: each `aws` that a test starts is a fork of a program that has it.

It is awscli itself, with the arguments, environment, folder and standard streams of the call. What
each start of its own would spend half a second of CPU on is done once: imports, and reading models.

    python aws_cli.py serve SOCKET            answers until its standard input ends
    python aws_cli.py ask SOCKET ARGUMENTS…   is one call
"""

from __future__ import annotations

import functools
import json
import os
import shlex
import socket
import sys
from pathlib import Path


@functools.cache
def aws() -> Path:
    """The program `aws`, in a folder where nothing else is. It ends with this process."""
    import atexit
    import shutil
    import subprocess
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="efa-aws-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "socket"
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"up\n"
    bin_ = folder / "bin"
    bin_.mkdir()
    program = bin_ / "aws"
    command = shlex.join([sys.executable, "-I", "-S", __file__, "ask", str(path)])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    return program


def serve(path: str) -> None:
    """Forks for each call."""
    import select
    import signal

    import awscli.clidriver
    from botocore.loaders import JSONFileLoader

    read = JSONFileLoader.load_file
    kept = functools.cache(lambda file: read(JSONFileLoader(), file))
    JSONFileLoader.load_file = lambda _self, file: kept(file)
    session = awscli.clidriver.create_clidriver().session
    for service in ("ec2", "iam"):
        session.get_service_model(service)
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        session.create_client(service, region_name="us-east-1", **keys)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        os.write(1, b"up\n")
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                answer(connection)
            connection.close()


def answer(connection: socket.socket) -> None:
    """One call, in a process of its own."""
    import awscli.clidriver

    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    given = json.loads(message)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(given["folder"])
    its_own = {"AWS_DATA_PATH": os.environ["AWS_DATA_PATH"]}  # which it sets when it is imported
    os.environ.clear()
    os.environ.update(given["environment"] | its_own)
    sys.argv = ["aws", *given["arguments"]]
    try:
        status = awscli.clidriver.main()
    except SystemExit as ended:
        status = ended.code
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(str(status or 0).encode())
    os._exit(0)


def ask(path: str, arguments: list[str]) -> int:
    """Hands the call on, and returns its exit status."""
    given = {"folder": os.getcwd(), "environment": dict(os.environ), "arguments": arguments}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(path)
        socket.send_fds(connection, [json.dumps(given).encode()], [0, 1, 2])
        return int(connection.recv(16) or 1)


if __name__ == "__main__":
    _, role, at, *more = sys.argv
    if role == "serve":
        serve(at)
    else:
        sys.exit(ask(at, more))
