"""A Kubernetes API server for tests: TLS, bearer tokens, and the few objects that agents and the key
rotation ask for. It runs in threads of the test's process, which sets its state by calls:

    server = ApiServer()                       # 127.0.0.1, a free port, an authority of its own
    server.write_account(folder)               # token, ca.crt and namespace, as a pod finds them
    server.set_pod("default", "serf-1", "10.0.0.7", labels={"app": "serf"})
    server.set_slice("default", "serf", ["10.0.0.7"])
    server.set_secret("default", "serf-keyring", {"keyring.json": b"[...]"})
    server.allow = [("get", "secrets", "default", "serf-keyring")]     # nothing else, from now on
    server.fault = status(500)                                         # each request, from now on
    server.requests                                                    # what was asked so far
    server.stop()

Lists come in pages (`limit`, `continue`) and know label selectors and field selectors; long answers
are chunked, as a Go server does. Secrets are patched by merge or by JSON patch; a `resourceVersion`
in a merge patch that is not the present one is a conflict."""

import base64
import copy
import datetime
import http.server
import ipaddress
import json
import os
import re
import socket
import ssl
import tempfile
import threading
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DEFAULT_NAMES = ("127.0.0.1", "::1", "localhost", "kubernetes.default.svc")
CHUNKED_FROM = 2048  # bytes of a body
HANG_SECONDS = 600


# --- certificates ---


class Authority:
    """Signs certificates of servers. `pem` is its own."""

    def __init__(self, name="kubernetes"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key.public_key(), [
            (x509.BasicConstraints(ca=True, path_length=None), True)])
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def _sign(self, subject, public_key, extensions, days=(-1, 30)):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
                   .public_key(public_key).serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(days=days[0]))
                   .not_valid_after(now + datetime.timedelta(days=days[1])))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, names=DEFAULT_NAMES, days=(-1, 30)):
        """PEM of a certificate for these names and addresses, with its key. `days` from now on
        between which it is valid."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "apiserver")]), key.public_key(),
            [(x509.SubjectAlternativeName([_alternative(name) for name in names]), False)], days)
        return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())


def _alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


# --- faults: what a handler does instead of an answer ---


def slow(seconds):
    """Answers after a while."""
    def act(handler):
        handler.server.owner.stopped.wait(seconds)
        return False
    return act


def status(code, reason="InternalError", message="something is wrong with the server"):
    def act(handler):
        handler.send_status(code, reason, message)
        return True
    return act


def body(data, code=200, kind="application/json"):
    """Answers with these bytes, whatever was asked."""
    def act(handler):
        handler.send(code, data, kind)
        return True
    return act


def rubbish():
    return body(b'{"kind": "PodList", "items": [{"status": ' + b"\xff\x00{[" * 100)


def endless():
    """A body in chunks without an end, as long as somebody reads."""
    def act(handler):
        handler.start(200, "application/json", {"Transfer-Encoding": "chunked"})
        filler = b" " * 65536
        while not handler.server.owner.stopped.is_set():
            handler.wfile.write(b"10000\r\n" + filler + b"\r\n")
        return True
    return act


def hang():
    """Takes the request and says nothing."""
    def act(handler):
        handler.server.owner.stopped.wait(HANG_SECONDS)
        handler.close_connection = True
        return True
    return act


def cut():
    """Promises a long body, sends a part, and closes the connection."""
    def act(handler):
        handler.start(200, "application/json", {"Content-Length": "100000"})
        handler.wfile.write(b'{"kind": "PodList", "items": [')
        handler.close_connection = True
        return True
    return act


def redirect(target):
    def act(handler):
        handler.start(307, "text/plain", {"Location": target, "Content-Length": "0"})
        return True
    return act


# --- the server ---


@dataclass
class Request:
    """One that was answered; `path` without the query, `status` 0 where a fault answered."""
    time: float
    method: str
    path: str
    query: dict
    status: int
    headers: dict


class Refused(Exception):
    def __init__(self, code, reason, message):
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        self.serve("GET")

    def do_PATCH(self):
        self.serve("PATCH")

    def serve(self, method):
        owner = self.server.owner
        parts = urllib.parse.urlsplit(self.path)
        query = {key: values[-1] for key, values in
                 urllib.parse.parse_qs(parts.query, keep_blank_values=True).items()}
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(time.monotonic(), method, parts.path, query, 0, dict(self.headers))
        owner.requests.append(request)
        fault = owner.fault
        if fault and fault(self):
            return
        try:
            answer = owner.answer(method, parts.path, query, self.headers, sent)
            request.status = 200
            self.send(200, json.dumps(answer).encode())
        except Refused as refused:
            request.status = refused.code
            self.send_status(refused.code, refused.reason, refused.message)

    def start(self, code, kind, headers):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, code, data, kind="application/json"):
        if len(data) < CHUNKED_FROM:
            self.start(code, kind, {"Content-Length": str(len(data))})
            self.wfile.write(data)
            return
        self.start(code, kind, {"Transfer-Encoding": "chunked"})
        for begin in range(0, len(data), 4096):
            chunk = data[begin:begin + 4096]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def send_status(self, code, reason, message):
        self.send(code, json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {},
                                    "status": "Failure", "message": message, "reason": reason,
                                    "code": code}).encode())


class _Threads(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner, listener):
        self.address_family = listener.family
        super().__init__(listener.getsockname()[:2], Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.owner = listener, owner
        self.server_address = listener.getsockname()

    def finish_request(self, request, client_address):
        """The handshake belongs to the connection's thread: no client holds up another one."""
        try:
            request.settimeout(60)
            tls = self.owner.context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError) as error:
            self.owner.handshake_failures.append(str(error))
            return
        try:
            super().finish_request(tls, client_address)
        finally:
            try:
                tls.unwrap() if not self.owner.fault else None
            except (OSError, ValueError):
                pass
            tls.close()

    def handle_error(self, request, client_address):
        pass  # clients go away: a test looks at what it gets


class ApiServer:
    """`names` are those of the certificate beside DEFAULT_NAMES; `listener` is a listening socket of
    the caller's (made in another network namespace, for example), else one is made at `host`."""

    def __init__(self, host="127.0.0.1", port=0, names=(), token="test-token-0001", authority=None,
                 listener=None):
        self.authority = authority or Authority()
        self.names = (*DEFAULT_NAMES, *names)
        self.token, self.tokens = token, {token}  # the one handed out; those that are taken
        self.allow = None  # [(verb, resource, namespace, name or None)]; None: everything
        self.fault = None
        self.requests, self.handshake_failures = [], []
        self.page_max = 500
        self.expire_pages = 0  # so many continue tokens are refused as too old
        self.stopped = threading.Event()
        self._lock = threading.RLock()
        self._objects = {}  # (resource, namespace) -> {name: object}
        self._version = 1000
        self.context = None
        self.use_certificate(self.authority.issue(self.names))
        if listener is None:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, port), family=family, backlog=64)
        self.host, self.port = listener.getsockname()[:2]
        self._server = _Threads(self, listener)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"https://[{self.host}]:{self.port}" if ":" in self.host else \
            f"https://{self.host}:{self.port}"

    @property
    def variables(self):
        """What Kubernetes puts into the environment of each container."""
        return {"KUBERNETES_SERVICE_HOST": self.host, "KUBERNETES_SERVICE_PORT": str(self.port)}

    def stop(self):
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def use_certificate(self, pem):
        """For connections from now on: certificate and key, as Authority.issue makes them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.NamedTemporaryFile() as file:
            file.write(pem)
            file.flush()
            context.load_cert_chain(file.name)
        self.context = context

    def write_account(self, folder, namespace="default", token=None, authority=None):
        """The files of a service account, each replaced in one step."""
        contents = {"token": (token or self.token).encode(), "namespace": namespace.encode(),
                    "ca.crt": (authority or self.authority).pem}
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            path = Path(folder) / f".{name}.new"
            path.write_bytes(data)
            os.replace(path, Path(folder) / name)

    # --- state ---

    def set_pod(self, namespace, name, address=None, *, labels=None, annotations=None,
                phase="Running", ready=True, addresses=None, host_address=None, ports=(),
                deleted=False):
        """`addresses` of both families, when there are two; `ports` as (name, number)."""
        addresses = addresses or ([address] if address else [])
        pod = {"metadata": {"name": name, "namespace": namespace, "labels": labels or {},
                            "annotations": annotations or {}},
               "spec": {"containers": [{"name": "serf", "image": "cserf", "ports": [
                   {"name": port, "containerPort": number} for port, number in ports]}]},
               "status": {"phase": phase, "conditions": [
                   {"type": "Ready", "status": "True" if ready else "False"}]}}
        if addresses:
            pod["status"]["podIP"] = addresses[0]
            pod["status"]["podIPs"] = [{"ip": each} for each in addresses]
        if host_address:
            pod["status"]["hostIP"] = host_address
        if deleted:
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._put("pods", namespace, name, pod)

    def set_slice(self, namespace, service, addresses, *, name=None, ready=True, port=7946,
                  port_name="gossip"):
        name = name or f"{service}-x7k2p"
        family = "IPv6" if any(":" in address for address in addresses) else "IPv4"
        self._put("endpointslices", namespace, name, {
            "metadata": {"name": name, "namespace": namespace,
                         "labels": {"kubernetes.io/service-name": service}},
            "addressType": family,
            "endpoints": [{"addresses": [address],
                           "conditions": {"ready": ready, "serving": ready, "terminating": False}}
                          for address in addresses],
            "ports": [{"name": port_name, "port": port, "protocol": "TCP"}]})

    def set_secret(self, namespace, name, data):
        """`data` is {key: bytes}."""
        self._put("secrets", namespace, name, {
            "kind": "Secret", "apiVersion": "v1", "type": "Opaque",
            "metadata": {"name": name, "namespace": namespace},
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()}})

    def secret(self, namespace, name):
        """Its data, {key: bytes}."""
        with self._lock:
            found = self._objects[("secrets", namespace)][name]
            return {key: base64.b64decode(value) for key, value in found["data"].items()}

    def annotations(self, resource, namespace, name):
        with self._lock:
            return dict(self._objects[(resource, namespace)][name]["metadata"].get("annotations") or {})

    def remove(self, resource, namespace, name):
        with self._lock:
            del self._objects[(resource, namespace)][name]

    def clear(self, resource, namespace):
        with self._lock:
            self._objects.pop((resource, namespace), None)

    def _put(self, resource, namespace, name, item):
        with self._lock:
            self._version += 1
            item["metadata"]["resourceVersion"] = str(self._version)
            self._objects.setdefault((resource, namespace), {})[name] = item

    # --- answers ---

    def answer(self, method, path, query, headers, sent):
        """The object, or Refused."""
        if headers.get("Authorization", "") not in {f"Bearer {token}" for token in self.tokens}:
            raise Refused(401, "Unauthorized", "Unauthorized")
        match = re.fullmatch(r"/api(?:s/([a-z.0-9]+))?/v1/namespaces/([^/]+)/([a-z]+)"
                             r"(?:/([^/]+))?", path)
        kind = {("pods", None): "Pod", ("secrets", None): "Secret",
                ("endpointslices", "discovery.k8s.io"): "EndpointSlice"}
        if not match or (match[3], match[1]) not in kind:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        group, namespace, resource, name = match.groups()
        verb = "patch" if method == "PATCH" else "get" if name else "list"
        self._authorize(verb, resource, namespace, name)
        with self._lock:
            if name is None:
                return self._list(kind[(resource, group)], resource, namespace, query)
            found = self._objects.get((resource, namespace), {}).get(name)
            if found is None:
                raise Refused(404, "NotFound", f'{resource} "{name}" not found')
            if verb == "patch":
                found = self._patch(resource, found, headers.get("Content-Type", ""), sent)
                self._put(resource, namespace, name, found)
            return copy.deepcopy(found)

    def _authorize(self, verb, resource, namespace, name):
        rules = self.allow
        if rules is None or any(rule[:3] == (verb, resource, namespace) and
                                rule[3] in (None, name) for rule in rules):
            return
        named = f' "{name}"' if name else ""
        raise Refused(403, "Forbidden",
                      f'{resource}{named} is forbidden: User "system:serviceaccount:{namespace}:'
                      f'serf" cannot {verb} resource "{resource}" in API group "" in the namespace '
                      f'"{namespace}"')

    def _list(self, kind, resource, namespace, query):
        items = sorted(self._objects.get((resource, namespace), {}).items())
        items = [(name, item) for name, item in items
                 if matches_labels(query.get("labelSelector", ""), item["metadata"].get("labels"))
                 and matches_fields(query.get("fieldSelector", ""), item)]
        if "continue" in query:
            if self.expire_pages > 0:
                self.expire_pages -= 1
                raise Refused(410, "Expired", "The provided continue parameter is too old to "
                                              "display a consistent list result.")
            after = base64.urlsafe_b64decode(query["continue"]).decode()
            items = [(name, item) for name, item in items if name > after]
        limit = min(int(query.get("limit") or self.page_max), self.page_max)
        more, items = len(items) > limit, items[:limit]
        metadata = {"resourceVersion": str(self._version)}
        if more:
            metadata["continue"] = base64.urlsafe_b64encode(items[-1][0].encode()).decode()
        return {"kind": f"{kind}List", "apiVersion": "v1", "metadata": metadata,
                "items": [copy.deepcopy(item) for _, item in items]}

    def _patch(self, resource, found, kind, sent):
        try:
            patch = json.loads(sent)
            if kind == "application/json-patch+json":
                changed = json_patch(found, patch)
            elif kind in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
                changed = merge_patch(found, patch)
            else:
                raise Refused(415, "UnsupportedMediaType", f"the body of the request was in an "
                                                           f"unknown format - {kind}")
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise Refused(422, "Invalid", f"the patch does not apply: {error!r}") from None
        if changed["metadata"].get("resourceVersion") != found["metadata"]["resourceVersion"]:
            raise Refused(409, "Conflict",
                          f'Operation cannot be fulfilled on {resource} '
                          f'"{found["metadata"]["name"]}": the object has been modified; please '
                          "apply your changes to the latest version and try again")
        for key, value in changed.pop("stringData", {}).items():
            changed.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
        for value in changed.get("data", {}).values():
            try:
                base64.b64decode(value, validate=True)
            except ValueError as error:
                raise Refused(400, "BadRequest", f"illegal base64 data: {error}") from None
        return changed


# --- selectors and patches ---


def _split_outside_brackets(text):
    return [part.strip() for part in re.split(r",(?![^()]*\))", text) if part.strip()]


def matches_labels(selector, labels):
    labels = labels or {}
    for part in _split_outside_brackets(selector):
        if found := re.fullmatch(r"(\S+)\s+(in|notin)\s+\(([^()]*)\)", part):
            values = {value.strip() for value in found[3].split(",")}
            good = (labels.get(found[1]) in values) == (found[2] == "in")
        elif found := re.fullmatch(r"([^=!\s]+)\s*(==?|!=)\s*([^=!\s]*)", part):
            good = (labels.get(found[1]) == found[3]) == (found[2] != "!=")
        elif found := re.fullmatch(r"(!?)\s*([^=!\s,()]+)", part):
            good = (found[2] in labels) != bool(found[1])
        else:
            raise Refused(400, "BadRequest", f"unable to parse requirement: {part}")
        if not good:
            return False
    return True


def matches_fields(selector, item):
    for part in _split_outside_brackets(selector):
        found = re.fullmatch(r"([\w.]+)(==?|!=)(.*)", part)
        if not found:
            raise Refused(400, "BadRequest", f"invalid field selector: {part}")
        value = item
        for key in found[1].split("."):
            value = value.get(key, "") if isinstance(value, dict) else ""
        if (str(value) == found[3]) != (found[2] != "!="):
            return False
    return True


def merge_patch(target, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target, operations):
    """RFC 6902 on objects: add, replace, remove, test."""
    result = copy.deepcopy(target)
    for operation in operations:
        *path, last = [part.replace("~1", "/").replace("~0", "~")
                       for part in operation["path"].split("/")[1:]]
        place = result
        for part in path:
            place = place[part]
        if operation["op"] in ("replace", "remove", "test") and last not in place:
            raise ValueError(f"there is no {operation['path']}")
        if operation["op"] == "test":
            if place[last] != operation["value"]:
                raise ValueError(f"{operation['path']} has another value")
        elif operation["op"] == "remove":
            del place[last]
        elif operation["op"] in ("add", "replace"):
            place[last] = operation["value"]
        else:
            raise ValueError(f"operation {operation['op']}")
    return result
