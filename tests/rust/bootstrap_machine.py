"""Runs a command as root on a scratch machine, in the namespaces that `unshare` has made.

usage: bootstrap_machine.py DIRECTORY COMMAND...

The scratch machine's disk is this machine's, with what DIRECTORY/upper holds laid over it; what
the command writes goes there too. It has a network of its own with two servers: DIRECTORY/site as
https://efa-installer.amazonaws.com, trusted, and EC2's instance metadata (IMDSv2 only).
"""

import fcntl
import socket
import ssl
import struct
import subprocess
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

SITE = "efa-installer.amazonaws.com"
METADATA = "169.254.169.254"
SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8914, 0x8916, 1
FACTS = {
    "/latest/meta-data/instance-id": "i-0123456789abcdef0",
    "/latest/meta-data/placement/region": "eu-north-1",
}


#: What the instance's tag is, in DIRECTORY/upper; nothing is answered where it is not there.
EXPIRY_TAG = "/latest/meta-data/tags/instance/efa-sdk:expires-at"
EXPIRY_FILE = Path(sys.argv[1]) / "upper" / "fake" / "expires-at"


class Site(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Metadata(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        wanted = self.path == "/latest/api/token"
        lifetime = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        self.answer("a token" if wanted and lifetime.isdigit() else None)

    def do_GET(self) -> None:
        allowed = self.headers.get("X-aws-ec2-metadata-token") == "a token"
        if self.path == EXPIRY_TAG and EXPIRY_FILE.exists():
            return self.answer(EXPIRY_FILE.read_text() if allowed else None)
        self.answer(FACTS.get(self.path) if allowed else None)

    def answer(self, text: str | None) -> None:
        self.send_response(401 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: object) -> None:
        pass


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def make_disk(directory: Path) -> Path:
    root, upper, work = (directory / name for name in ("root", "upper", "work"))
    layers = f"lowerdir=/,upperdir={upper},workdir={work}"
    mount("-t", "overlay", "overlay", "-o", layers, root)
    for shared in ("dev", "proc"):
        mount("--rbind", f"/{shared}", root / shared)
    mount("-t", "tmpfs", "tmpfs", root / "run")
    return root


def make_network() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        address = socket.inet_aton(METADATA)
        request = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, address)
        fcntl.ioctl(control, SIOCSIFADDR, request)


def serve(server: ThreadingHTTPServer) -> None:
    Thread(target=server.serve_forever, daemon=True).start()


def serve_site(directory: Path, root: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    server = ThreadingHTTPServer(
        ("127.0.0.1", 443), partial(Site, directory=str(directory / "site"))
    )
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serve(server)
    with (root / "etc/ssl/certs/ca-certificates.crt").open("a") as trusted:
        trusted.write((directory / "certificate.pem").read_text())
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost {SITE}\n")


def main() -> int:
    directory, command = Path(sys.argv[1]), sys.argv[2:]
    root = make_disk(directory)
    make_network()
    serve(ThreadingHTTPServer((METADATA, 80), Metadata))
    if (directory / "site").exists():
        serve_site(directory, root)
    bare = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(["chroot", root, *command], env=bare).returncode


if __name__ == "__main__":
    sys.exit(main())
