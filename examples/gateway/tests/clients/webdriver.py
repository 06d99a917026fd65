"""A headless Chromium, driven by chromedriver over its JSON protocol."""

import contextlib
import http.client
import json
import shutil
import subprocess
import tempfile

from scene import DEADLINE, Owner, wait_until

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--ignore-certificate-errors",
    # Names that nobody has: localhost is an exception to too many of a browser's rules.
    "--host-resolver-rules=MAP *.example 127.0.0.1",
]


# What `cookie_controls_mode` means: whether a page of one site may use cookies of another.
ALLOW, BLOCK = 0, 1


class Browser(Owner):
    """With an empty profile. `third_party` cookies are allowed or blocked."""

    def start(self, third_party=ALLOW):
        profile = self.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.callback(self._stop, driver)
        said = next(line for line in driver.stdout if "successfully on port" in line)
        self.port = int(said.rpartition("on port ")[2].strip(" .\n"))
        preferences = {"profile.cookie_controls_mode": third_party, "profile.block_third_party_cookies": third_party == BLOCK}
        arguments = [*FLAGS, f"--user-data-dir={profile}"]
        chrome = {"binary": shutil.which("chromium"), "args": arguments, "prefs": preferences}
        capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": chrome}}
        self.session = ""
        self.session = "/session/" + self._call("POST", "/session", {"capabilities": capabilities})["sessionId"]
        self.callback(self._call, "DELETE", "")

    @staticmethod
    def _stop(driver):
        driver.terminate()
        driver.wait()
        driver.stdout.close()

    def _call(self, method, path, body=None):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as connection:
            connection.request(method, self.session + path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            value = json.loads(response.read())["value"]
        assert response.status == 200, (path, value)
        return value

    def forget(self):
        """Drops all cookies."""
        self.devtools("Network.clearBrowserCookies")

    def go(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """Runs a script in the page; it may return a promise."""
        return self._call("POST", "/execute/sync", {"script": script, "args": arguments})

    def cookies(self):
        """All cookies that it has, by name."""
        return {cookie["name"]: cookie for cookie in self.devtools("Network.getAllCookies")["cookies"]}

    def devtools(self, command, **parameters):
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def wait_for_title(self, title):
        wait_until(f"a page with the title {title}", lambda: self.run("return document.title") == title)
