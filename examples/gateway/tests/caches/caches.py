"""Caches of other makers, each as a process before an origin."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import configurations
from scene import DEADLINE, TARGET, Owner, wait_until

VENV = TARGET / "caches" / "venv"
HISHEL = "2.0.0"


class Cache(Owner):
    """A cache's process on a port of its own, with all its files in a directory of its own."""

    def start(self, name, origin):
        kind = CACHES[name]
        self.directory = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        # Some refuse to be root's.
        self.directory.chmod(0o755)
        # Bound and not listening: no other process is given the port, and the cache can take it.
        reserved = self.enter_context(socket.socket())
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        self.port = reserved.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.name = name
        files, command = kind.files(self.directory, self.port, origin), kind.command(self.directory, self.port, origin)
        for path, text in files.items():
            path = self.directory / path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for folder in kind.folders:
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        rights = {}
        if os.geteuid() == 0 and kind.user:
            account = pwd.getpwnam(kind.user)
            rights = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            for path in (self.directory, *self.directory.rglob("*")):
                os.chown(path, account.pw_uid, account.pw_gid)
        log = self.enter_context((self.directory / "output").open("w+"))
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        self.process = subprocess.Popen(command, cwd=self.directory, start_new_session=True, **streams, **rights)
        self.callback(self._stop)
        wait_until(f"{name} listens", self._listens)

    def _listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} has ended: {(self.directory / 'output').read_text()[-2000:]}")
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def _stop(self):
        """First the process, which ends its own children, and then what is left of its group."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(DEADLINE)


class Program:
    """A cache as it is installed: its command, its files, and what it calls itself."""

    def __init__(self, title, package, program, version, files, command, folders=(), user=None):
        self.title, self.package, self.program = title, package, program
        self.files, self.folders, self.user = files, folders, user
        self.command = lambda directory, port, origin: [self.path(), *command(directory, port, origin)]
        self.version_arguments = version

    def path(self):
        # Debian's servers are not in every user's path.
        return shutil.which(self.program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")

    def version(self):
        """Such as `7.1`."""
        said = subprocess.run([self.path(), *self.version_arguments], capture_output=True, text=True, timeout=DEADLINE)
        return re.search(r"(\d+\.\d+)", said.stdout + said.stderr).group(1)


class Hishel(Program):
    """A library of PyPI's, in an environment of its own."""

    def path(self):
        python = VENV / "bin" / "python"
        return str(python) if python.exists() else None

    def install(self):
        if not self.path():
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
            subprocess.run([VENV / "bin" / "pip", "install", "--quiet", f"hishel[httpx]=={HISHEL}"], check=True)

    def version(self):
        return HISHEL.rpartition(".")[0]


PROXY = pathlib.Path(__file__).with_name("hishel_proxy.py")
CACHES = {
    "nginx": Program(
        "nginx", "nginx", "nginx", ["-v"], configurations.nginx, lambda directory, *_: ["-p", directory, "-c", "nginx.conf"], ["cache"]
    ),
    # Only for the time that newcomers wait.
    "nginx-lock": Program(
        "nginx with proxy_cache_lock", "nginx", "nginx", ["-v"], lambda *where: configurations.nginx(*where, lock="on"),
        lambda directory, *_: ["-p", directory, "-c", "nginx.conf"], ["cache"],
    ),
    "haproxy": Program("HAProxy", "haproxy", "haproxy", ["-v"], configurations.haproxy, lambda *_: ["-db", "-f", "haproxy.cfg"]),
    "varnish": Program(
        "Varnish",
        "varnish",
        "varnishd",
        ["-V"],
        lambda *_: {},
        lambda directory, port, origin: (
            ["-F", "-a", f"127.0.0.1:{port}", "-b", origin, "-n", directory / "work", "-s", "malloc,16m", "-T", "none", "-j", "none"]
        ),
    ),
    "squid": Program("Squid", "squid", "squid", ["-v"], configurations.squid, lambda *_: ["-N", "-f", "squid.conf"], user="proxy"),
    "apache": Program(
        "Apache", "apache2", "apache2", ["-v"], configurations.apache,
        lambda directory, *_: ["-X", "-d", directory, "-f", "apache.conf"], ["cache"], user="www-data",
    ),
    "trafficserver": Program(
        "Traffic Server", "trafficserver", "traffic_server", ["-V"], configurations.traffic_server,
        lambda directory, *_: [f"--run-root={directory / 'runroot.yaml'}"], ["log", "run", "cache", "empty"], user="trafficserver",
    ),
    "hishel": Hishel(
        "hishel", None, None, [], lambda *_: {}, lambda directory, port, origin: [PROXY, str(port), origin, directory / "hishel.db"]
    ),
}
