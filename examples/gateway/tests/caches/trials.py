"""What is asked of a cache, and what must hold of its answers."""

import base64
import concurrent.futures
import contextlib
import dataclasses
import http.client
import time

from caches import Cache
from origin import KINDS, SLOW, UNGUARDED, Origin
from scene import DEADLINE, SECRET, Gateway, Owner

NAME = "__cflb"
# The gateway's clock is set ahead by this before each request, so that each cookie names its request.
STEP = 1000
# How an answer came.
OUT_OF_THE_CACHE, CONFIRMED, ASKED = "●", "◐", "○"
# The clients of each case, in their order: S comes without a cookie, K1 and K2 have one, M has one of an endpoint
# that is down. The answer that the table shows is the second.
CASES = {
    "created": ("S", "S", "K1", "S"),
    "kept": ("K1", "K2", "S", "K1"),
    "moved": ("M", "K2", "S", "K1"),
    # The cache has a stored answer when the newcomer comes, and perhaps confirms it by way of the newcomer's request.
    "joined": ("K1", "S", "K2", "S"),
}
OUTCOMES = {"S": "created:no_cookie", "K1": "kept", "K2": "kept", "M": "moved:unhealthy"}


@dataclasses.dataclass
class Answer:
    status: int
    came: str
    outcome: str | None
    cookies: dict


class Row(Owner):
    """An origin, and what may stand before it."""

    def start(self, kinds, sets_cookie=False):
        self.origin = self.enter_context(Origin(kinds, sets_cookie))

    def ask(self, address, path, cookie=None):
        """One request on a connection of its own."""
        kind = self.origin.kinds[path.split("/")[1]]
        headers = {"Host": "shop.example", "Accept-Language": "en", "Connection": "close"}
        headers |= {"Cookie": f"{NAME}={cookie}"} if cookie else {}
        headers |= {"Range": "bytes=0-7"} if kind.ranged else {}
        last, confirmed = self.origin.last, self.origin.confirmed.get(path, 0)
        with contextlib.closing(http.client.HTTPConnection(address, timeout=DEADLINE)) as connection:
            connection.request(kind.method, path, headers=headers)
            response = connection.getresponse()
            response.read()
        # A cache may ask for the whole of what it is asked a part of, and give it.
        assert response.status in ((200, 206) if kind.ranged else (200,)), (address, path, response.status)
        came = OUT_OF_THE_CACHE
        if self.origin.confirmed.get(path, 0) > confirmed:
            came = CONFIRMED
        elif int(response.getheader("X-Serial")) > last:
            came = ASKED
        lines = response.headers.get_all("Set-Cookie") or []
        cookies = dict(line.partition(";")[0].split("=", 1) for line in lines)
        return Answer(response.status, came, response.getheader("X-Affinity-Outcome"), cookies)

    def gateway(self, addresses):
        file = {
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "keys": [{"id": 1, "secret": SECRET}],
            "explain": True,
            "connect_timeout_ms": 4000,
            "load_balancer": {
                "name": "shop.example",
                "session_affinity": "cookie",
                "session_affinity_ttl": 604_800,
                "session_affinity_attributes": {"zero_downtime_failover": "sticky"},
                "default_pools": ["eu"],
            },
            "pools": [{"id": "eu", "origins": [{"name": name, "address": at} for name, at in zip("ab", addresses)]}],
        }
        return self.enter_context(Gateway(file))


class Guarded(Row):
    """clients → cache → gateway → endpoints `a` and `b`"""

    def start(self, name):
        super().start(KINDS)
        self.name, self.offset, self.requests = name, 0, 0
        self.doors = self.gateway(self.origin.addresses)
        self.cache = self.enter_context(Cache(name, self.doors.address))
        # Asked of the gateway itself, while the other endpoint is down.
        self.jars = {"S": None}
        for client, endpoint, other in (("K1", "b", "a"), ("K2", "b", "a"), ("M", "a", "b")):
            self.doors.set_health(other, False)
            self.jars[client] = self.ask_as("S", f"/nothing/{client}", self.doors.address).cookies[NAME]
            self.doors.set_health(other, True)

    def ask_as(self, client, path, address=None):
        """A client never gets a cookie that was made for another request than its own."""
        self.offset += STEP
        self.doors.set_clock(self.offset)
        self.requests += 1
        begin = int(time.time())
        answer = self.ask(address or self.cache.address, path, self.jars.get(client))
        token = answer.cookies.get(NAME)
        if token:
            issued = int.from_bytes(base64.urlsafe_b64decode(token)[10:15], "big") - self.offset
            told = f"{self.name}: {client} has asked for {path}"
            assert begin <= issued <= time.time(), f"{told} and got the cookie of another, {begin - issued} s old"
            assert client in "SM", f"{told} with a live cookie and got another one"
        return answer

    def cells(self):
        """By kind and case: how the second answer came."""
        cells = {}
        for case, clients in CASES.items():
            self.doors.set_health("a", case != "moved")
            path = "/{}/" + case
            for kind in KINDS:
                first = self.ask_as(clients[0], path.format(kind))
                expected = (ASKED, OUTCOMES[clients[0]])
                assert (first.came, first.outcome) == expected, f"{self.name}, {case}, {kind}: {first}, not {expected}"
            time.sleep(max(kind.pause for kind in KINDS.values()))
            for kind in KINDS:
                answers = [self.ask_as(client, path.format(kind)) for client in clients[1:]]
                cells[kind, case] = answers[0].came
        return cells


class Bare(Row):
    """clients → cache → endpoint: what the cache does without a gateway."""

    def start(self, name, kinds=KINDS, sets_cookie=False):
        super().start(kinds, sets_cookie)
        self.cache = self.enter_context(Cache(name, self.origin.addresses[0]))

    def has_confirmed(self, path):
        """Whether the endpoint has answered with a 304, or does so within a second."""
        end = time.monotonic() + 1
        while not self.origin.confirmed.get(path) and time.monotonic() < end:
            time.sleep(0.02)
        return bool(self.origin.confirmed.get(path))

    def pairs(self, cookie):
        """By kind: two answers that follow the first, after its pause."""
        kinds = self.origin.kinds
        for kind in kinds:
            self.ask(self.cache.address, f"/{kind}/", cookie)
        time.sleep(max(kind.pause for kind in kinds.values()))
        return {kind: [self.ask(self.cache.address, f"/{kind}/", cookie) for _ in range(2)] for kind in kinds}


def guarded_cells(name):
    """What the cache keeps through the gateway is what it keeps without: a kept session costs no hit."""
    with Guarded(name) as row, Bare(name) as bare:
        cells = row.cells()
        for kind, (answer, _) in bare.pairs("of-another").items():
            assert cells[kind, "kept"] == answer.came, f"{name}, {kind}: {cells[kind, 'kept']}, without a gateway {answer.came}"
        for kind in KINDS:
            for case in ("created", "moved"):
                assert cells[kind, case] != OUT_OF_THE_CACHE, f"{name}, {kind}: an answer with a cookie was stored ({case})"
        return {kind: " ".join(cells[kind, case] for case in ("created", "kept", "moved")) for kind in KINDS}, row.requests


def unguarded_cells(name):
    """What becomes of a cookie in a response that is not guarded."""
    cells = {}
    with Bare(name, UNGUARDED, sets_cookie=True) as bare:
        for kind, (second, third) in bare.pairs(None).items():
            if kind == "304":
                replays = third.cookies and third.came == OUT_OF_THE_CACHE
                cells[kind] = "replayed" if replays else "given" if second.cookies else "swallowed"
                # Some caches give what is stale first, and then ask.
                cells[kind] = cells[kind] if bare.has_confirmed("/304/") else "no 304"
            elif second.came == OUT_OF_THE_CACHE:
                cells[kind] = "replayed" if second.cookies else "without it"
            else:
                cells[kind] = "not stored"
    return cells


def order_cells(name):
    """How many of a hundred requests reach the endpoint, with the cache before the gateway and behind it."""
    with Guarded(name) as row, Bare(name) as bare:
        behind = bare.gateway([bare.cache.address])
        cells = {}
        for place, side, address in (("before", row, row.cache.address), ("behind", bare, behind.address)):
            for crowd, requests in (("newcomers", 1), ("regulars", 5)):
                path = f"/public/{crowd}"
                for _ in range(100 // requests):
                    cookie = None
                    for _ in range(requests):
                        cookie = side.ask(address, path, cookie).cookies.get(NAME, cookie)
                cells[crowd, place] = str(side.origin.asked[path])
        return cells


def seconds_of_a_rush(name):
    """The time of ten newcomers who ask at once for one page that takes the endpoint 0.2 seconds."""
    with Row(SLOW) as row:
        gateway = row.gateway(row.origin.addresses)
        cache = row.enter_context(Cache(name, gateway.address))
        with concurrent.futures.ThreadPoolExecutor(10) as crowd:
            begin = time.monotonic()
            list(crowd.map(lambda _: row.ask(cache.address, "/slow/"), range(10)))
            return time.monotonic() - begin
