"""Clients that are not browsers, behind one interface: curl, Python's http.cookiejar, and Node with tough-cookie."""

import http.cookiejar
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import unittest.mock
import urllib.request

from scene import DEADLINE, NODE_MODULES, Owner

NAME = "__cflb"


class Answer:
    """A response: its outcome, the endpoint that served it, and the gateway's Set-Cookie line."""

    def __init__(self, status, headers, body):
        told = [value for name, value in headers if name.lower() == "set-cookie" and value.startswith(f"{NAME}=")]
        self.status = status
        self.outcome = next((value for name, value in headers if name.lower() == "x-affinity-outcome"), None)
        self.served_by = body
        self.set_cookie = told[0] if told else None


class Curl(Owner):
    """curl with a jar in a file. It is started anew for each request."""

    def start(self, certificate):
        self.directory = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.jar = self.directory / "jar"
        self.certificate = certificate

    def get(self, url):
        command = ["curl", "--disable", "--silent", "--show-error", "--include", "--max-time", str(DEADLINE)]
        command += ["--noproxy", "*", "--connect-to", "::127.0.0.1:", "--cacert", self.certificate.public]
        command += ["--cookie", self.jar, "--cookie-jar", self.jar, url]
        head, _, body = subprocess.run(command, check=True, capture_output=True, text=True).stdout.partition("\n\n")
        status, *fields = head.split("\n")
        return Answer(int(status.split(" ")[1]), [tuple(field.split(": ", 1)) for field in fields], body)

    def cookie(self):
        if not self.jar.exists():
            return None
        for line in self.jar.read_text().splitlines():
            domain, subdomains, path, secure, expires, name, value = ([*line.split("\t"), *[""] * 7])[:7]
            if name == NAME:
                return {
                    "domain": domain.removeprefix("#HttpOnly_"),
                    "host_only": subdomains == "FALSE",
                    "path": path,
                    "secure": secure == "TRUE",
                    "http_only": domain.startswith("#HttpOnly_"),
                    "expires": int(expires),
                    "value": value,
                }
        return None

    def forget(self):
        self.jar.unlink()


class Cookiejar(Owner):
    """urllib with http.cookiejar, of Python's standard library."""

    def start(self, certificate):
        self.jar = http.cookiejar.CookieJar()
        https = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificate.public))
        cookies = urllib.request.HTTPCookieProcessor(self.jar)
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https, cookies)

    def get(self, url):
        with unittest.mock.patch("socket.getaddrinfo", self._resolve), self.opener.open(url, timeout=DEADLINE) as response:
            return Answer(response.status, response.getheaders(), response.read().decode())

    @staticmethod
    def _resolve(_host, port, *_arguments, **_named):
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    def cookie(self):
        for cookie in self.jar:
            if cookie.name == NAME:
                return {
                    "domain": cookie.domain,
                    "host_only": not cookie.domain_specified,
                    "path": cookie.path,
                    "secure": cookie.secure,
                    "http_only": cookie.has_nonstandard_attr("HttpOnly"),
                    "same_site": cookie.get_nonstandard_attr("SameSite"),
                    "expires": cookie.expires,
                    "value": cookie.value,
                }
        return None

    def forget(self):
        self.jar.clear()


class Node(Owner):
    """fetch of Node.js with a jar of tough-cookie."""

    def start(self, certificate):
        script = pathlib.Path(__file__).with_name("node.mjs")
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(certificate.public), "NODE_MODULES": str(NODE_MODULES)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(["node", script], env=environment, **pipes)
        self.callback(self._stop)

    def _stop(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self.process.stdout.close()

    def _ask(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer
        return answer["value"]

    def get(self, url):
        return Answer(*self._ask("get", url))

    def cookie(self):
        return self._ask("cookie", NAME)

    def forget(self):
        self._ask("forget")
