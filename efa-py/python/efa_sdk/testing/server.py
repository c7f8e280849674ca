"""The HTTP server of a stand-in."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from efa_sdk.errors import StandInError


class _Handler(WSGIRequestHandler):
    """Quiet, and without the delay of Nagle's algorithm on kept-alive connections."""

    disable_nagle_algorithm = True
    wbufsize = -1

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Closes the connection, so that the client learns at once that no answer comes."""
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing: `StandIn.requests` has it all."""


def listen(host: str, port: int, app: Any) -> BaseWSGIServer:
    """A server that has its port, and serves once started."""
    try:
        taken = socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise StandInError(
            "stand_in.cannot_listen",
            f"cannot listen on {host}:{port}: {error}",
            "give a host of this machine and a free port; port=0 takes one",
            {"host": host, "port": str(port)},
        ) from error
    with taken:
        # By descriptor, since werkzeug prints and exits when it cannot bind by itself.
        return make_server(
            host, port, app, threaded=True, request_handler=_Handler, fd=taken.fileno()
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
