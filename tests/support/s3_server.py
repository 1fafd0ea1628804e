"""A server with the S3 protocol, in a separate process: its objects survive every kill of a client."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import obstore
from obstore.store import from_url

_PATIENCE_SECONDS = 300


class S3Server:
    """`environment` has the variables that its clients need."""

    def start(self) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not listens(self.port):
            assert self._process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server doesn't answer"
            time.sleep(0.05)
        self._buckets = 0

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.port)

    def new_bucket(self) -> str:
        """Create an empty bucket and return its URL."""
        self._buckets += 1
        name = f"bucket-{os.getpid()}-{self._buckets}"
        bucket = from_url(f"http://127.0.0.1:{self.port}/", client_options={"allow_http": True})
        obstore.put(bucket, name, b"")  # in S3 this request is called CreateBucket
        return f"s3://{name}"


def environment(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "not a secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Line:
    """A proxy of a port, on another port; a test can cut the connection and restore it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = free_port()
        self._open: list[socket.socket] = []
        self.mend()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(1 << 16):
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)
