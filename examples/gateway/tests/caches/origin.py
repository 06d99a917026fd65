"""Endpoints whose path says what kind of response they give."""

import dataclasses
import http.server
import itertools
import sys
import threading
import time

from scene import Owner

ETAG = '"1"'
BODY = b"0123456789abcdef"
# What a path may name, and the header fields of its response.
OLD = ("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of response: its fields, and what is asked of it."""

    name: str
    fields: tuple = ()
    method: str = "GET"
    ranged: bool = False
    # Seconds from the first request to the others.
    pause: float = 0
    # Seconds until the response comes.
    delay: float = 0
    # The fields of a 304, where they are others.
    fields_of_304: tuple = ()

    @property
    def confirmed(self):
        return self.fields_of_304 or self.fields


def _says(text, *more):
    return (("Cache-Control", text), *more)


PAGE = _says("public, max-age=600")
KINDS = {
    "public": Kind("`public, max-age=600`", PAGE),
    "s-maxage": Kind("`s-maxage=600`", _says("s-maxage=600")),
    "no-store": Kind("`no-store`", _says("no-store")),
    "must-understand": Kind("`must-understand, no-store, max-age=600`", _says("must-understand, no-store, max-age=600")),
    "private-set-cookie": Kind('`private="set-cookie", max-age=600`', _says('private="set-cookie", max-age=600')),
    "vary": Kind("`max-age=600`, `Vary: Accept-Language`", _says("max-age=600", ("Vary", "Accept-Language"))),
    "etag": Kind("`max-age=1`, an `ETag`, after two seconds", _says("max-age=1", ("ETag", ETAG)), pause=2.1),
    "stale": Kind("`max-age=1, stale-while-revalidate=600`, after two seconds", _says("max-age=1, stale-while-revalidate=600"), pause=2.1),
    "head": Kind("`max-age=600`, asked by HEAD", _says("max-age=600"), method="HEAD"),
    "range": Kind("`max-age=600`, a part (206)", _says("max-age=600", ("ETag", ETAG), ("Accept-Ranges", "bytes")), ranged=True),
    "targeted": Kind("`X-Accel-Expires: 600`, `Surrogate-Control: max-age=600`", (("X-Accel-Expires", "600"), ("Surrogate-Control", "max-age=600"))),
    "last-modified": Kind("`Last-Modified` alone", (OLD,)),
    "nothing": Kind("none of these fields"),
}
# Asked of an endpoint that sets a cookie of its own, with no gateway in between.
UNGUARDED = {
    "public": Kind("`public, max-age=600`", PAGE),
    "no-cache-set-cookie": Kind('`max-age=600, no-cache="set-cookie"`', _says('max-age=600, no-cache="set-cookie"')),
    "private-set-cookie": Kind('`max-age=600, private="set-cookie"`', _says('max-age=600, private="set-cookie"')),
    "private": Kind("`private, max-age=600`", _says("private, max-age=600")),
    "304": Kind("`max-age=1`, the cookie in the 304 alone", _says("max-age=1", ("ETag", ETAG)), pause=2.1, fields_of_304=PAGE),
}
SLOW = {"slow": Kind("`public, max-age=600`, slowly", PAGE, delay=0.2)}



class Origin(Owner):
    """Answers with a serial number, which says whether an answer is out of a cache."""

    def start(self, kinds, sets_cookie=False):
        self.kinds, self.sets_cookie = kinds, sets_cookie
        self.serials = itertools.count(1)
        self.lock = threading.Lock()
        self.last = 0
        # By path: how often it was asked, and how often the answer was a 304.
        self.asked, self.confirmed = {}, {}

        class Handler(_Handler):
            origin = self

        # Two endpoints that give the same.
        self.addresses = [self._serve(Handler) for _ in range(2)]

    def _serve(self, handler):
        server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.callback(server.server_close)
        self.callback(server.shutdown)
        return f"127.0.0.1:{server.server_address[1]}"

    def count(self, path, confirms):
        with self.lock:
            self.last = next(self.serials)
            self.asked[path] = self.asked.get(path, 0) + 1
            self.confirmed[path] = self.confirmed.get(path, 0) + confirms
            return self.last


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        # A cache that ends resets its idle connections.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind = self.origin.kinds[self.path.split("/")[1]]
        fields = dict(kind.fields)
        confirms = "ETag" in fields and self.headers.get("if-none-match") == ETAG
        serial = self.origin.count(self.path, confirms)
        time.sleep(kind.delay)
        body = BODY
        if confirms:
            self.send_response(304)
        elif "Accept-Ranges" in fields and self.headers.get("range") == "bytes=0-7":
            body = BODY[:8]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes 0-7/{len(BODY)}")
        else:
            self.send_response(200)
        for name, value in kind.confirmed if confirms else kind.fields:
            self.send_header(name, value)
        self.send_header("X-Serial", str(serial))
        if self.origin.sets_cookie and confirms == self.path.startswith("/304/"):
            self.send_header("Set-Cookie", f"own={serial}; Path=/")
        if not confirms:
            self.send_header("Content-Type", "text/css")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not confirms and self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass
