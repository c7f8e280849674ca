"""The WSGI application: every request is logged, may meet a fault, and goes to us or to moto."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from flask import Flask
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.iam.models import get_account_id_from
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sts.models import sts_backends

from . import control, moto_paging, wire
from .actions import HANDLERS
from .authorization.authorizer import Authorizer
from .authorization.ec2_needs import ec2_needs
from .authorization.service_needs import service_needs
from .call import Call, Reply
from .cloudformation.caller import Clients
from .cloudformation.handlers import answer as cloudformation_answer
from .eventual import eventually
from .faults import Fault, Faults
from .iam import check_iam
from .json_protocol import json_body, json_error, json_reply
from .moto_state import add_managed_policies
from .rules import Refused, refusal, refuse
from .service_quotas.handlers import HANDLERS as QUOTA_HANDLERS
from .ssm.handlers import HANDLERS as SSM_HANDLERS
from .state import Settings

log = logging.getLogger("efa_sdk.testing")

JSON_HANDLERS = {"ssm": SSM_HANDLERS, "servicequotas": QUOTA_HANDLERS}

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


@dataclass
class LoggedRequest:
    """One request as it came in, and how it was answered."""

    service: str
    action: str
    region: str
    parameters: tuple[tuple[str, str], ...]
    body: bytes
    attempt: str
    status: int = 0
    error_code: str | None = None
    dropped: bool = False
    #: Of the answer's body.
    answer_bytes: int = 0


class Application:
    """What the HTTP server calls. One lock, since moto's state knows none."""

    def __init__(self, region: str, settings: Settings, faults: Faults) -> None:
        self.region = region
        self.settings = settings
        self.faults = faults
        self.authorizer = Authorizer()
        self.requests: list[LoggedRequest] = []
        self.closed = False
        self.controller: control.Controller | None = None
        self.lock = threading.RLock()
        self._moto = DomainDispatcherApplication(_backend_app)
        self._clients = Clients(self._answer)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self.closed:
            raise ConnectionAbortedError("the stand-in has stopped")
        body = _read_body(environ)
        if self.controller is not None and environ.get("PATH_INFO", "").startswith(control.PREFIX):
            reply = self.controller.answer(environ, body)
        else:
            reply = self._answer(environ, body)
        status = f"{reply.status} {_reason(reply.status)}"
        headers = [pair for pair in reply.headers if pair[0].lower() != "content-length"]
        start_response(status, [*headers, ("Content-Length", str(len(reply.body)))])
        return [reply.body]

    def _answer(self, environ: Environ, body: bytes) -> Reply:
        entry = self._log(environ, body)
        fault = self.faults.strike(entry.action, entry.parameters)
        if fault is not None and fault.when == "before":
            return self._fault(entry, fault)
        with self.lock:
            request_id = str(uuid4())  # not moto's generator: it would shift seeded ids
            reply = self._execute(environ, body, entry, request_id)
        if fault is not None:
            return self._fault(entry, fault)
        entry.status = reply.status
        named = _named(reply, request_id)
        entry.answer_bytes = len(named.body)
        return named

    def _log(self, environ: Environ, body: bytes) -> LoggedRequest:
        service, region = _scope(environ, self.region)
        target = environ.get("HTTP_X_AMZ_TARGET")
        form: tuple[tuple[str, str], ...] = ()
        if target is None:
            text = body.decode("utf-8", "replace") or environ.get("QUERY_STRING", "")
            form = tuple(parse_qsl(text, keep_blank_values=True))
        action = target.rsplit(".", 1)[-1] if target else dict(form).get("Action", "")
        entry = LoggedRequest(
            service=service,
            action=action,
            region=region,
            parameters=form,
            body=body,
            attempt=environ.get("HTTP_AMZ_SDK_REQUEST", ""),
        )
        self.requests.append(entry)
        return entry

    def _fault(self, entry: LoggedRequest, fault: Fault) -> Reply:
        if fault.code is None:
            entry.dropped = True
            raise ConnectionAbortedError("reply lost, as ordered")
        entry.status, entry.error_code = fault.status, fault.code
        request_id = "fault-injected"
        error = _error(entry.service, fault.status, fault.code, fault.message, request_id)
        return _named(error, request_id)

    def _execute(
        self, environ: Environ, body: bytes, entry: LoggedRequest, request_id: str
    ) -> Reply:
        try:
            if entry.service == "ec2":
                return self._ec2(environ, entry, request_id)
            self._authorize(environ, entry)
            if entry.service == "iam":
                account = _account(environ)
                check_iam(entry.action, dict(entry.parameters), account)
                if "Polic" in entry.action:
                    add_managed_policies(account)
            if entry.service == "cloudformation":
                return self._cloudformation(environ, entry, request_id)
            handler = JSON_HANDLERS.get(entry.service, {}).get(entry.action)
            if handler is not None:
                return json_reply(handler, self._json_call(environ, entry))
            return self._forward(environ, body)
        except Refused as refused:
            entry.error_code = refused.code
            return _error(entry.service, refused.status, refused.code, refused.message, request_id)
        except ServiceException as error:  # moto refuses, called by one of our handlers
            entry.error_code = error.code
            return _error(entry.service, 400, error.code, error.message, request_id)
        except NotImplementedError as error:
            lacks = refusal("request.not_in_stand_in", what=f"{entry.action} ({error})")
            entry.error_code = lacks.code
            return _error(entry.service, lacks.status, lacks.code, lacks.message, request_id)
        except Exception as error:  # a mistake of the stand-in or of moto: never HTML, never silent
            log.exception("%s failed inside the stand-in", entry.action)
            entry.error_code = "InternalError"
            message = f"the efa_sdk.testing stand-in failed: {type(error).__name__}: {error}"
            return _error(entry.service, 500, entry.error_code, message, request_id)

    def _ec2(self, environ: Environ, entry: LoggedRequest, request_id: str) -> Reply:
        action = entry.action
        if action not in wire.operations():
            refuse("request.unknown_action", action=action)
        try:
            request = wire.parse(action, entry.parameters)
        except wire.UnknownParameters as unknown:
            refuse("request.unknown_parameter", name=unknown.names[0])
        except wire.MalformedParameter as malformed:
            refuse("request.malformed_parameter", name=malformed.name, value=malformed.value)
        account = _account(environ)
        call = Call(
            action=action,
            request=request,
            form=entry.parameters,
            account=account,
            region=entry.region,
            request_id=request_id,
            settings=self.settings,
            forward=lambda body: self._forward(environ, entry.body if body is None else body),
            backend=ec2_backends[account][entry.region],
        )
        key = _access_key(environ)
        if self.authorizer.restricts(key):
            user = _user(account, key, entry.region)
            call.may_use_keys = self.authorizer.check(key, user, "ec2", ec2_needs(call))
        with eventually(call):
            return _carry_out(call)

    def _cloudformation(self, environ: Environ, entry: LoggedRequest, request_id: str) -> Reply:
        account, key = _account(environ), _access_key(environ)
        call = Call(
            action=entry.action,
            request=dict(entry.parameters),
            form=entry.parameters,
            account=account,
            region=entry.region,
            request_id=request_id,
            settings=self.settings,
            forward=lambda _body: self._forward(environ, entry.body),
            backend=ec2_backends[account][entry.region],
        )
        # What a stack is made of goes through the stand-in like any caller's requests.
        return cloudformation_answer(call, self._clients.of(key or "testing", entry.region))

    def _json_call(self, environ: Environ, entry: LoggedRequest) -> Call:
        """A call of a JSON service; its backend is EC2's, where the instances are."""
        account = _account(environ)
        body = json_body(environ, entry.body)
        return Call(
            action=entry.action,
            request=body,
            form=tuple((name, json.dumps(value)) for name, value in sorted(body.items())),
            account=account,
            region=entry.region,
            request_id="",
            settings=self.settings,
            forward=lambda _body: self._forward(environ, entry.body),
            backend=ec2_backends[account][entry.region],
        )

    def _authorize(self, environ: Environ, entry: LoggedRequest) -> None:
        key = _access_key(environ)
        if not self.authorizer.restricts(key):
            return
        account = _account(environ)
        body = json_body(environ, entry.body)
        needs = service_needs(
            entry.service, entry.action, account, entry.region, entry.parameters, body
        )
        self.authorizer.check(key, _user(account, key, entry.region), entry.service, needs)

    def _forward(self, environ: Environ, body: bytes) -> Reply:
        inner = {
            **environ,
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input_terminated": False,
        }
        if "HTTP_AUTHORIZATION" not in inner:  # moto would take an unsigned request for S3's
            scope = f"unsigned/20260101/{self.region}/ec2/aws4_request"
            inner["HTTP_AUTHORIZATION"] = f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0"
        for key in ("HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_ENCODING"):
            inner.pop(key, None)
        seen: list[tuple[int, tuple[tuple[str, str], ...]]] = []

        def start(status: str, headers: list[tuple[str, str]], _exc: Any = None) -> Any:
            seen.append((int(status.split(" ", 1)[0]), tuple(headers)))
            return lambda _data: None

        chunks = self._moto(inner, start)
        answer = b"".join(chunks)
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        status, headers = seen[-1]
        return Reply(status, headers, answer)


def _carry_out(call: Call) -> Reply:
    handler = HANDLERS.get(call.action)
    if handler is None:
        return moto_paging.forward_paged(call)
    answer = handler(call)
    if isinstance(answer, Reply):
        return answer
    newer = call.action == "DescribeInstanceTypes"
    body = wire.render(call.action, answer, call.request_id, newer=newer)
    return Reply(200, (("Content-Type", "text/xml;charset=UTF-8"),), body)


def _backend_app(service: Any) -> Flask:
    app = create_backend_app(service)
    app.config["PROPAGATE_EXCEPTIONS"] = True  # so that a gap of moto's reaches us, not as HTML
    return app


def _read_body(environ: Environ) -> bytes:
    length = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    if length:
        data: bytes = stream.read(int(length))
        return data
    return bytes(stream.read()) if environ.get("wsgi.input_terminated") else b""


def _scope(environ: Environ, region: str) -> tuple[str, str]:
    """Service and Region from the signature; unsigned requests are EC2's."""
    auth = environ.get("HTTP_AUTHORIZATION", "")
    if "Credential=" in auth:
        parts = auth.split("Credential=", 1)[1].split(",", 1)[0].split("/")
        if len(parts) >= 5:
            return parts[-2].lower(), parts[-3]
    return "ec2", region


def _access_key(environ: Environ) -> str:
    auth: str = environ.get("HTTP_AUTHORIZATION", "")
    return auth.split("Credential=", 1)[1].split("/", 1)[0] if "Credential=" in auth else ""


def _account(environ: Environ) -> str:
    key = _access_key(environ)
    return str(get_account_id_from(key)) if key else str(DEFAULT_ACCOUNT_ID)


def _user(account: str, key: str, region: str) -> str:
    """The caller's ARN, as GetCallerIdentity reports it."""
    return str(sts_backends[account]["aws"].get_caller_identity(key, region)[1])


def _error(service: str, status: int, code: str, message: str, request_id: str) -> Reply:
    """An error in the service's own envelope."""
    if service == "ec2":
        body = wire.render_error(code, message, request_id)
        return Reply(status, (("Content-Type", "text/xml;charset=UTF-8"),), body)
    if service in ("iam", "sts", "autoscaling", "cloudformation"):
        body = wire.render_query_error(code, message, request_id)
        return Reply(status, (("Content-Type", "text/xml"),), body)
    return json_error(status, code, message)


def _named(reply: Reply, request_id: str) -> Reply:
    """The reply with its request's id in a header, as AWS sends it; moto's has one of its own."""
    if any(name.lower() == "x-amzn-requestid" for name, _ in reply.headers):
        return reply
    header = ("x-amzn-RequestId", request_id)
    return Reply(reply.status, (*reply.headers, header), reply.body)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"
