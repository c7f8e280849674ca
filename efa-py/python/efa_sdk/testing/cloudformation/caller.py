"""boto3 clients whose requests go to the stand-in's own handlers, in the same thread."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from ..call import Reply

Environ = dict[str, Any]
Answer = Callable[[Environ, bytes], Reply]


class Clients:
    """Clients by access key and Region; making one is slow, and it keeps no state."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._made: dict[tuple[str, str, str], Any] = {}

    def of(self, key: str, region: str) -> Callable[[str], Any]:
        """Gives the client of a service for this caller."""
        return lambda service: self._client(key, region, service)

    def _client(self, key: str, region: str, service: str) -> Any:
        if (key, region, service) not in self._made:
            import boto3  # type: ignore[import-untyped]
            from botocore.config import Config  # type: ignore[import-untyped]

            session = boto3.Session(aws_access_key_id=key, aws_secret_access_key="testing")
            client = session.client(
                service,
                region_name=region,
                endpoint_url="http://127.0.0.1",
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
            )
            client.meta.events.register("before-send", self._send)
            self._made[key, region, service] = client
        return self._made[key, region, service]

    def _send(self, request: Any, **_: Any) -> Any:
        """Answers a request in place of the network."""
        from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]

        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = body.read()
        reply = self._answer(_environ(request, body), body)
        return AWSResponse(request.url, reply.status, dict(reply.headers), _Raw(reply.body))


class _Raw(io.BytesIO):
    """A body as urllib3 hands it over."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def _environ(request: Any, body: bytes) -> Environ:
    url = urlsplit(request.url)
    environ: Environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(url.path) or "/",
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": url.netloc,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        text = value.decode() if isinstance(value, bytes) else str(value)
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = text
        elif key != "CONTENT_LENGTH":
            environ[f"HTTP_{key}"] = text
    return environ
