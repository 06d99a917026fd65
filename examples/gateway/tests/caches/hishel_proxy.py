"""A proxy whose cache is hishel's, as a shared cache that follows RFC 9111. Arguments: its port, and its origin."""

import http.server
import sys

import hishel
import httpx
from hishel.httpx import CacheTransport

PORT, ORIGIN, DATABASE = int(sys.argv[1]), sys.argv[2], sys.argv[3]
BETWEEN_NEIGHBOURS = ("connection", "keep-alive", "transfer-encoding")


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    storage = hishel.SqliteStorage(database_path=DATABASE)
    # Below a client of httpx, which would keep the cookies of all in one jar.
    transport = CacheTransport(httpx.HTTPTransport(), storage=storage, rfc=hishel.CacheOptions(shared=True))

    def do_GET(self):
        fields = [(name, value) for name, value in self.headers.items() if name.lower() not in BETWEEN_NEIGHBOURS]
        request = httpx.Request(self.command, f"http://{ORIGIN}{self.path}", headers=fields)
        response = self.transport.handle_request(request)
        body = b"".join(response.stream)
        response.close()
        self.send_response_only(response.status_code)
        length = response.headers.get("content-length")
        for name, value in response.headers.multi_items():
            if name.lower() not in (*BETWEEN_NEIGHBOURS, "content-length"):
                self.send_header(name, value)
        if response.status_code != 304:
            self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Proxy, bind_and_activate=False)
server.allow_reuse_address = True
server.server_bind()
server.server_activate()
server.serve_forever()
