"""A proxy before the stand-in that disturbs exactly one call of a run, as the network or AWS does.

It speaks real HTTP, so that the SDK's own retries are part of what is tested. A *call* is what
the SDK makes of one request with all its retries: they share the `amz-sdk-invocation-id`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.etree import ElementTree
from xml.sax.saxutils import escape

Kind = Literal[
    "refuse", "throttle", "lost", "lost-all", "kill-before", "kill-after", "not-found", "stale"
]

#: How long a hop may take; generous, since it decides nothing.
HOP_S = 120.0

#: How often a throttled or not yet visible call is answered so.
TIMES = 2

MAKING = ("Create", "Run", "Allocate", "Associate", "Attach")
LOOKING = ("Describe", "List", "Get")

#: What EC2 calls a resource that it does not see (yet), by the beginning of its id.
UNSEEN = {
    "i": "InvalidInstanceID.NotFound",
    "sg": "InvalidGroup.NotFound",
    "eni": "InvalidNetworkInterfaceID.NotFound",
    "eipalloc": "InvalidAllocationID.NotFound",
    "eipassoc": "InvalidAssociationID.NotFound",
    "lt": "InvalidLaunchTemplateId.NotFound",
}

#: Resources that are known by a name which the caller gave: parameter, and the code when unseen.
NAMED = {
    "CreatePlacementGroup": ("GroupName", "InvalidPlacementGroup.Unknown"),
    "CreateInstanceProfile": ("InstanceProfileName", "NoSuchEntity"),
    "CreateRole": ("RoleName", "NoSuchEntity"),
    "CreatePolicy": ("PolicyName", "NoSuchEntity"),
}

#: The code of a refusal for ever, and status and code of throttling, in each kind of envelope.
REFUSED = {"ec2": "UnauthorizedOperation", "query": "AccessDenied", "json": "AccessDeniedException"}
THROTTLED = {
    "ec2": (503, "RequestLimitExceeded"),
    "query": (400, "Throttling"),
    "json": (400, "ThrottlingException"),
}

_ID = re.compile(rf">((?:{'|'.join(UNSEEN)})-[0-9a-f]+)<")


@dataclass
class Request:
    """One request (an attempt of a call) as it came in, and what became of it."""

    call: int
    service: str
    action: str
    parameters: tuple[tuple[str, str], ...]
    attempt: str
    #: Codes of what it names that was made in this run: what EC2 may not see yet.
    unseen: tuple[str, ...] = ()
    #: Whether its answer shows something that was made in this run.
    shows_new: bool = False
    #: The answer's status; 0 when the client got none.
    status: int = 0
    #: Of the error that this proxy answered with.
    request_id: str | None = None


@dataclass(frozen=True)
class Fault:
    """What happens at one call, by its number from 0."""

    kind: Kind
    call: int
    #: The process that `kill-before` and `kill-after` end.
    victim: int = 0


@dataclass
class _Run:
    """What is known since `begin`."""

    fault: Fault | None = None
    requests: list[Request] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    #: Action and parameters of the call that is not seen yet, and how often it was answered so.
    hidden: tuple[str, tuple[tuple[str, str], ...]] | None = None
    hits: int = 0


class FaultProxy:
    """Use it as a context manager; give `endpoint_url` to the client."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._run = _Run()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FaultProxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def begin(self, fault: Fault | None = None) -> None:
        """Starts a run with an empty log, in which this fault strikes."""
        with self._lock:
            self._run = _Run(fault)

    @property
    def requests(self) -> list[Request]:
        """Every request since `begin`, in the order in which they came in."""
        return list(self._run.requests)

    @property
    def calls(self) -> list[Request]:
        """The first request of every call."""
        first: dict[int, Request] = {}
        for request in self._run.requests:
            first.setdefault(request.call, request)
        return list(first.values())

    @property
    def struck(self) -> int | None:
        """The number of the disturbed call."""
        return self._run.fault.call if self._run.fault else None

    @property
    def hits(self) -> int:
        """How often the fault struck."""
        return self._run.hits

    def _note(self, headers: Message, body: bytes) -> tuple[_Run, Request]:
        scope = re.search(r"Credential=[^,]*/([^/,]+)/aws4_request", headers["Authorization"])
        target = headers.get("X-Amz-Target")
        if target is None:
            parameters = tuple(parse_qsl(body.decode(), keep_blank_values=True))
            action = dict(parameters)["Action"]
        else:
            values = json.loads(body or b"{}")
            parameters = tuple((name, json.dumps(value)) for name, value in values.items())
            action = target.rsplit(".", 1)[-1]
        with self._lock:
            run = self._run
            invocation = headers.get("amz-sdk-invocation-id") or str(uuid4())
            request = Request(
                call=run.calls.setdefault(invocation, len(run.calls)),
                service=scope[1] if scope else "ec2",
                action=action,
                parameters=parameters,
                attempt=headers.get("amz-sdk-request", ""),
            )
            run.requests.append(request)
            named = [
                run.made[value]
                for name, value in parameters
                if value in run.made and not name.startswith("Filter.")
            ]
            request.unseen = tuple(dict.fromkeys(named))
        return run, request

    def _strikes(self, run: _Run, request: Request) -> Kind | None:
        """The fault that this request meets, counted."""
        fault = run.fault
        if fault is None:
            return None
        with self._lock:
            if fault.kind == "not-found":
                # The caller's own retry is another call with the same parameters.
                same = request.action, request.parameters
                if request.call == fault.call and request.unseen:
                    run.hidden = same
                strikes = run.hidden == same and run.hits < TIMES
            else:
                limit = {"throttle": TIMES, "lost": 1, "stale": 1}.get(fault.kind)
                strikes = request.call == fault.call and (limit is None or run.hits < limit)
            if strikes:
                run.hits += 1
            return fault.kind if strikes else None

    def _learn(self, run: _Run, request: Request, answer: bytes) -> None:
        """Notes what the answered call has made, or shows."""
        with self._lock:
            found = set(_ID.findall(answer.decode()))
            if request.action.startswith(MAKING) and request.status < 300:
                values = dict(request.parameters)
                for new in found.difference(values.values()):
                    run.made[new] = UNSEEN[new.split("-")[0]]
                if request.action in NAMED:
                    parameter, code = NAMED[request.action]
                    run.made[values[parameter]] = code
            if request.action.startswith(LOOKING):
                names = set(re.findall(r">([^<>]+)<", answer.decode()))
                request.shows_new = not run.made.keys().isdisjoint(found | names)

    def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805, RUF100
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self) -> None:
                super().setup()
                self.upstream = HTTPConnection(*proxy._upstream, timeout=HOP_S)

            def finish(self) -> None:
                self.upstream.close()
                super().finish()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                run, request = proxy._note(self.headers, body)
                kind = proxy._strikes(run, request)
                if kind in ("refuse", "throttle", "not-found"):
                    self._error(request, kind, run.hits)
                    return
                if kind == "kill-before" and run.fault:
                    os.kill(run.fault.victim, signal.SIGKILL)
                    self.close_connection = True
                    return
                status, content_type, answer = self._forward(body)
                request.status = status
                proxy._learn(run, request, answer)
                if kind == "kill-after" and run.fault:
                    os.kill(run.fault.victim, signal.SIGKILL)
                if kind in ("kill-after", "lost", "lost-all"):
                    request.status = 0
                    self.close_connection = True
                    return
                if kind == "stale":
                    answer = _without(answer, run.made)
                self._send(status, content_type, answer)

            def _forward(self, body: bytes) -> tuple[int, str, bytes]:
                self.upstream.request("POST", self.path, body, dict(self.headers))
                answer = self.upstream.getresponse()
                return answer.status, answer.headers["Content-Type"], answer.read()

            def _error(self, request: Request, kind: Kind, hit: int) -> None:
                envelope = _envelope(request.service)
                status, code = 403, REFUSED[envelope]
                message = "You are not authorized to perform this operation."
                if kind == "throttle":
                    status, code = THROTTLED[envelope]
                    message = "Request limit exceeded."
                if kind == "not-found":
                    # What a call names may become visible one by one.
                    status, code = 400, request.unseen[(hit - 1) % len(request.unseen)]
                    message = "does not exist"
                    if request.service == "ec2" and code == "NoSuchEntity":
                        code = "InvalidParameterValue"
                        message = (
                            "Value (x) for parameter iamInstanceProfile.name is invalid."
                            " Invalid IAM Instance Profile name"
                        )
                request.status, request.request_id = status, str(uuid4())
                body = render(envelope, code, message, request.request_id)
                kind_of = "application/x-amz-json-1.1" if envelope == "json" else "text/xml"
                self._send(status, kind_of, body.encode(), request.request_id)

            def _send(
                self, status: int, content_type: str, body: bytes, request_id: str = ""
            ) -> None:
                self.send_response(status)
                if request_id:
                    self.send_header("x-amzn-RequestId", request_id)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler


def _envelope(service: str) -> str:
    if service in ("iam", "sts"):
        return "query"
    return "ec2" if service == "ec2" else "json"


def render(envelope: str, code: str, message: str, request_id: str) -> str:
    """An error as the service words it."""
    error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if envelope == "ec2":
        return (
            f"<Response><Errors><Error>{error}</Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    if envelope == "query":
        return (
            f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return json.dumps({"__type": code, "message": message})


def _without(answer: bytes, made: Mapping[str, str]) -> bytes:
    """The same listing as from a replica that has not yet seen what was made."""
    root = ElementTree.fromstring(answer)
    for listing in root:
        for item in list(listing):
            if not made.keys().isdisjoint(text.strip() for text in item.itertext()):
                listing.remove(item)
    if root.tag.startswith("{"):
        ElementTree.register_namespace("", root.tag[1:].partition("}")[0])
    return ElementTree.tostring(root)
