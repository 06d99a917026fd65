"""The gateway with endpoints behind it and, where https is wanted, a TLS terminator in front."""

import base64
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[4]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
NODE_MODULES = TARGET / "clients" / "node_modules"
# No wait is longer.
DEADLINE = 30
# In a page, keeps a browser from asking for one.
NO_ICON = "<link rel=icon href=data:,>"
SECRET = base64.b64encode(b"1" * 32).decode()


def wait_until(what, is_so):
    """Waits until something is so, and returns it."""
    end = time.monotonic() + DEADLINE
    while not (result := is_so()):
        if time.monotonic() > end:
            raise AssertionError(f"waited too long for this: {what}")
        time.sleep(0.02)
    return result


class Owner(contextlib.ExitStack):
    """Something that is started, and stopped with all that belongs to it, also when the start fails."""

    def __init__(self, *arguments, **named):
        super().__init__()
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self.start(*arguments, **named)
            undo.pop_all()


class Scene(Owner):
    """Endpoints `a` and `b`, and a gateway. `load_balancer` and `attributes` are added to its file."""

    def start(self, load_balancer=(), attributes=(), **top):
        self.endpoints = {name: self.enter_context(Endpoint(name)) for name in ("a", "b")}
        origins = [{"name": name, "address": endpoint.address} for name, endpoint in self.endpoints.items()]
        file = {
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "keys": [{"id": 1, "secret": SECRET}],
            "trusted_proxies": ["127.0.0.1/32"],
            "explain": True,
            "connect_timeout_ms": 4000,
            "load_balancer": {
                "name": "shop.example",
                "session_affinity": "cookie",
                "session_affinity_attributes": {"zero_downtime_failover": "sticky", **dict(attributes)},
                "default_pools": ["eu"],
                **dict(load_balancer),
            },
            "pools": [{"id": "eu", "origins": origins}],
            **top,
        }
        self.gateway = self.enter_context(Gateway(file))

    def url(self, path="/", host="shop.example"):
        """At the gateway itself."""
        return f"http://{host}:{self.gateway.address.rpartition(':')[2]}{path}"

    def front(self, certificate=None, pages=()):
        """A proxy before the gateway, with TLS if there is a certificate."""
        return self.enter_context(Front(self.gateway.address, certificate, dict(pages)))


class Gateway(Owner):
    """The gateway's process."""

    def start(self, file):
        program = TARGET / "debug" / "gateway"
        with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
            json.dump(file, config)
            config.flush()
            self.process = subprocess.Popen([program, "--config", config.name], stdout=subprocess.PIPE, text=True)
            self.callback(self._stop)
            lines = [self.process.stdout.readline() for _ in range(2)]
        self.address, self.admin = (line.rpartition("http://")[2].strip() for line in lines)

    def _stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def call(self, method, path, body=None):
        """A call to the admin listener."""
        with contextlib.closing(http.client.HTTPConnection(self.admin, timeout=DEADLINE)) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            answer = json.loads(response.read())
        assert response.status == 200, (method, path, answer)
        return answer

    def set_clock(self, seconds):
        self.call("PUT", "/clock", {"offset_seconds": seconds})

    def set_health(self, endpoint, healthy):
        self.call("PATCH", f"/pools/eu/origins/{endpoint}", {"healthy": healthy})

    def clock(self):
        return self.call("GET", "/state")["clock"]


class Endpoint(Owner):
    """A server that says its name, on a port that is nobody else's while it is down."""

    def start(self, name):
        self.name = name
        # Every request: its line, its headers, its body.
        self.seen = []
        self.reserved = self.enter_context(socket.socket())
        self.reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.reserved.bind(("127.0.0.1", 0))
        self.port = self.reserved.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.server = None
        self.come_back()
        self.callback(self.go_down)

    def come_back(self):
        class Handler(_EndpointHandler):
            endpoint = self

        self.server = _serve(("127.0.0.1", self.port), Handler)

    def go_down(self):
        """New connections are refused. There are no others: each answer is the last of its connection."""
        if self.server:
            _stop(self.server)
            self.server = None


class _EndpointHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.endpoint.seen.append((self.requestline, self.headers, body))
        if self.headers.get("upgrade", "").lower() == "websocket":
            return self._greet_by_websocket()
        name = self.endpoint.name
        if self.path.startswith("/page"):
            kind, text = "text/html", f"<!DOCTYPE html><title>shop</title>{NO_ICON}<p id=endpoint>{name}</p>"
        else:
            kind, text = "text/plain", name
        self.send_response(200)
        self.send_header("content-type", f"{kind}; charset=utf-8")
        self.send_header("content-length", str(len(text)))
        self.send_header("x-served-by", name)
        # A cookie of the application's own, which scripts can see.
        self.send_header("set-cookie", "app=1; Path=/")
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_GET

    def _greet_by_websocket(self):
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("connection", "Upgrade")
        self.send_header("upgrade", "websocket")
        self.send_header("sec-websocket-accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        name = self.endpoint.name.encode()
        # One text frame, and a close frame.
        self.wfile.write(bytes([0x81, len(name)]) + name + b"\x88\x00")
        self.close_connection = True

    def log_message(self, *_):
        pass


class Front(Owner):
    """What stands before the gateway: it ends TLS, says so in X-Forwarded-Proto, and writes down what passes.

    Hosts other than those of the shop are sites of their own: `pages` has their pages by path."""

    def start(self, gateway, certificate, pages):

        class Handler(_FrontHandler):
            front = self

        self.gateway = gateway
        self.pages = pages
        self.scheme = "https" if certificate else "http"
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate.path)
        # What has passed, as dictionaries, by path.
        self.passed = {}
        # Held while a request is on its way: who holds it knows that none is.
        self.gate = threading.Lock()
        self.server = _serve(("127.0.0.1", 0), Handler)
        self.callback(_stop, self.server)
        self.port = self.server.server_address[1]

    def url(self, path="/", host="shop.example"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def wait_for(self, path):
        """What became of the request with this path, which is asked for only once."""
        return wait_until(f"a request for {path}", lambda: self.passed.get(path))


class _FrontHandler(socketserver.StreamRequestHandler):
    """One request on each connection."""

    timeout = DEADLINE

    def setup(self):
        if self.front.context:
            self.request.settimeout(DEADLINE)
            self.request = self.front.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self):
        super().finish()
        # The server knows of the socket below TLS only.
        self.request.close()

    def handle(self):
        line, fields = self._head(self.rfile)
        if not line:
            return
        path, values = line.split(" ")[1], {name.lower(): value for name, value in fields}
        host = values.get("host", "").partition(":")[0]
        if host in ("shop.example", "127.0.0.1") or host.endswith(".shop.example"):
            with self.front.gate:
                self._forward(line, fields, path, values)
        else:
            page = self.front.pages.get(path, "").encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
            self.wfile.write(head.encode() + page)

    def _forward(self, line, fields, path, values):
        is_upgrade = "upgrade" in values
        body = self.rfile.read(int(values.get("content-length", 0)))
        fields = [(name, value) for name, value in fields if is_upgrade or name.lower() != "connection"]
        fields += [("X-Forwarded-Proto", self.front.scheme)] + ([] if is_upgrade else [("Connection", "close")])
        host, port = self.front.gateway.split(":")
        with socket.create_connection((host, int(port)), DEADLINE) as gateway, gateway.makefile("rb") as answer:
            gateway.sendall(self._written(line, fields) + body)
            status, lines = self._head(answer)
            rest = answer.read()
        self.wfile.write(self._written(status, lines) + rest)
        told = [value for name, value in lines if name.lower() == "set-cookie" and not value.startswith("app=")]
        self.front.passed[path] = {
            "cookie": values.get("cookie", ""),
            "set_cookie": told[0] if told else None,
            "outcome": next((value for name, value in lines if name.lower() == "x-affinity-outcome"), None),
            "served_by": rest.decode(errors="replace"),
        }

    @staticmethod
    def _head(stream):
        line = stream.readline().decode("latin-1").rstrip("\r\n")
        fields = []
        while field := stream.readline().decode("latin-1").rstrip("\r\n"):
            name, _, value = field.partition(":")
            fields.append((name, value.strip()))
        return line, fields

    @staticmethod
    def _written(line, fields):
        return "".join([f"{line}\r\n", *(f"{name}: {value}\r\n" for name, value in fields), "\r\n"]).encode("latin-1")


class Certificate(Owner):
    """A certificate that signs itself, for the hosts of these tests."""

    def start(self):
        directory = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.path = directory / "certificate.pem"
        names = "DNS:shop.example,DNS:*.shop.example,DNS:other.example,DNS:third.example,IP:127.0.0.1"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=shop.example"]
        command += ["-addext", f"subjectAltName={names}", "-keyout", self.path, "-out", directory / "public.pem"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # The public part alone, for clients that are to trust it, and both for the server.
        self.public = directory / "public.pem"
        self.path.write_text(self.path.read_text() + self.public.read_text())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that breaks off is no news."""


def _serve(address, handler):
    server = _Server(address, handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def _stop(server):
    server.shutdown()
    server.server_close()
