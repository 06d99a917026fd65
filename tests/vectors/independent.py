#!/usr/bin/env python3
"""A second implementation of the crate's frozen functions, with Python's standard
library alone. It prints more.json: what token.json leaves out. refused.py beside it
takes its functions for the tokens that are refused.

    python3 tests/vectors/independent.py > tests/vectors/more.json
"""

import base64, hashlib, hmac, json
from decimal import ROUND_FLOOR, Decimal, getcontext

getcontext().prec = 60
MASK = (1 << 64) - 1


def rotl(x, b):
    return ((x << b) | (x >> (64 - b))) & MASK


def siphash(key, message, wide=False):
    """SipHash-2-4 as in the reference code; 64 bits as a number, 128 bits as bytes."""
    k0, k1 = (int.from_bytes(key[i : i + 8], "little") for i in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    if wide:
        v[1] ^= 0xEE

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & MASK; v[1] = rotl(v[1], 13) ^ v[0]; v[0] = rotl(v[0], 32)
            v[2] = (v[2] + v[3]) & MASK; v[3] = rotl(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & MASK; v[3] = rotl(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & MASK; v[1] = rotl(v[1], 17) ^ v[2]; v[2] = rotl(v[2], 32)

    whole = len(message) // 8 * 8
    for i in range(0, whole, 8):
        word = int.from_bytes(message[i : i + 8], "little")
        v[3] ^= word; rounds(2); v[0] ^= word
    last = int.from_bytes(message[whole:], "little") | (len(message) & 0xFF) << 56
    v[3] ^= last; rounds(2); v[0] ^= last
    v[2] ^= 0xEE if wide else 0xFF
    rounds(4)
    first = v[0] ^ v[1] ^ v[2] ^ v[3]
    if not wide:
        return first
    v[1] ^= 0xDD
    rounds(4)
    return first.to_bytes(8, "little") + (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")


assert siphash(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5
assert siphash(bytes(range(16)), b"", wide=True).hex() == "a3817f04ba25a8e66df67214c7550293"


def prf(secret, *parts):
    return hmac.new(secret, b"".join(parts), hashlib.sha256).digest()


def endpoint_id(pool, name):
    return siphash(b"session-affinity", pool.encode() + b"\0" + name.encode())


def seal(secret, balancer, cookie, key_id, endpoint, issued, expires, version=1):
    context = b"\0" + balancer.encode() + b"\0" + cookie.encode()
    mac_key = prf(secret, b"session-affinity v1 mac", context)
    mask_key = prf(secret, b"session-affinity v1 mask", context)[:16]
    head = lambda e: bytes([version, key_id]) + e.to_bytes(8, "big") + issued.to_bytes(5, "big") + expires.to_bytes(5, "big")
    tag = prf(mac_key, head(endpoint))[:16]
    token = head(endpoint ^ siphash(mask_key, tag)) + tag
    return base64.urlsafe_b64encode(token).decode()


def scoped(base, scope):
    return f"{base}-{siphash(b'session-affinity', scope.encode()):016x}"


def u64(n):
    return n.to_bytes(8, "little")


def pairs(lines):
    for line in lines:
        for part in line.split(";"):
            name, equals, value = part.partition("=")
            if equals:
                yield name.strip(" \t"), value.strip(" \t")


def session_key(secret, balancer, entries, require_all, headers, own="__cflb"):
    """headers: a list of (lower-case name, value)."""
    key = prf(secret, b"session-affinity v1 header\0", balancer.encode())[:16]
    lines = lambda field: [value for name, value in headers if name == field]
    message, present = b"", 0
    for index, entry in enumerate(entries):
        if entry == "cookie":
            rest = []
            for line in lines("cookie"):
                parts = [part for part in line.split(";") if part.partition("=")[0].strip(" \t") != own or "=" not in part]
                if len(parts) < len(line.split(";")):
                    while parts and not parts[0].strip(" \t"):
                        parts.pop(0)
                    line = ";".join(parts).lstrip(" \t") if len(parts) > 1 else "".join(parts).strip(" \t")
                if line:
                    rest.append(line)
            text = "; ".join(rest).encode()
            if not text:
                continue
            body = u64(len(text)) + text
        elif entry.startswith("cookie:"):
            names = entry[len("cookie:") :].split(",")
            found = [[v for n, v in pairs(lines("cookie")) if n == name] for name in names]
            there = [(i, values) for i, values in enumerate(found) if any(values)]
            if not there or (require_all and len(there) < len(names)):
                continue
            body = u64(len(there))
            for i, values in there:
                body += u64(i) + u64(len(values)) + b"".join(u64(len(v.encode())) + v.encode() for v in values)
        else:
            values = lines(entry.lower())
            if not any(values):
                continue
            body = u64(len(values)) + b"".join(u64(len(v.encode())) + v.encode() for v in values)
        present += 1
        message += u64(index) + body
    if present == 0 or (require_all and present < len(entries)):
        return None
    return siphash(key, message, wide=True).hex()


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


# The doors: manual::design, Doors.
DOORS = 1 << 16
PI = [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0]
ROUNDS = [0x11E7, 0x4773, 0x8C75, 0xBC37, 0xD9F5]
DRAWS = [0x7623, 0xD8CB]
LOGARITHMS = [int(((Decimal(1024 + cell) / 1024).ln() / Decimal(2).ln() * (1 << 31)).to_integral_value(ROUND_FLOOR))
              for cell in range(1025)]


def doors(ids):
    """The door of each id: in the order of the ids, the first free one of a sequence of its own."""
    home, taken = {}, set()
    for id in sorted(ids):
        door, step = mix(id) >> 48, mix(id) >> 32 & 0xFFFF | 1
        while door in taken:
            door = (door + step) % DOORS
        home[id] = door
        taken.add(door)
    return home


def mixed(x, multiplier):
    x = x * multiplier % DOORS
    return x ^ x >> 9


def words(x):
    return [x >> shift & 0xFFFF for shift in (0, 16, 32, 48)]


def rank_and_draw(seed, door):
    """The rank of a door under a seed, and the upper half of the draw that opens the door."""
    k = words(mix(seed ^ PI[0])) + words(mix(seed ^ PI[1]))
    middle = mixed((door + k[0]) % DOORS, ROUNDS[0])
    middle = mixed(middle ^ k[1], ROUNDS[1])
    middle = mixed((middle + k[2]) % DOORS, ROUNDS[2])
    rank = mixed((mixed(middle ^ k[3], ROUNDS[3]) + k[4]) % DOORS, ROUNDS[4]) ^ k[5]
    return rank, mixed(mixed((middle + k[6]) % DOORS, DRAWS[0]) ^ k[7], DRAWS[1])


def surprise(x):
    """-log2(x / 2^32) in units of 2^-31: by the table, on straight lines between its entries."""
    zeros = 33 - x.bit_length()
    cell, rest = divmod((x << zeros) - (1 << 32), 1 << 22)
    low, high = LOGARITHMS[cell : cell + 2]
    return (zeros << 31) - low - ((high - low) * rest >> 22)


def time(seed, door, weight):
    rank, upper = rank_and_draw(seed, door)
    drawn = mix(mix(seed ^ PI[2]) ^ door)
    own = surprise(DOORS - rank << 16)
    if (upper << 16 | drawn >> 48) * 100 < weight << 32:
        return own
    return own + surprise((drawn & 0xFFFFFFFF) + 1) * 100 // weight


def choices(seed, endpoints):
    """The whole failover order: the plain definition, a sort of all times. endpoints: (id, weight)."""
    home = doors(id for id, _ in endpoints)
    return [id for id, weight in sorted((e for e in endpoints if e[1]), key=lambda e: (time(seed, home[e[0]], e[1]), e[0]))]


def pool_order(seed, pools):
    """The order of pools: their own seed, then as endpoints, over the hashes of their names. The weight
    of each is divided by its load plus one. Pools of weight 0 come only where there are no others."""
    own = siphash(b"session-affinity", b"session-affinity v1 pool\0" + seed.to_bytes(8, "big"))
    pool_id = lambda name: siphash(b"session-affinity", name.encode())
    share = lambda pool: Decimal(pool[1]) / (pool[2] + 1)
    cost = lambda pool: -(Decimal(max(1, mix(own ^ pool_id(pool[0])))) / (1 << 64)).ln() / share(pool)
    weighted = sorted((pool for pool in pools if pool[1]), key=lambda pool: (cost(pool), pool_id(pool[0])))
    return [name for name, _, _ in weighted or pools]


SECRET, OTHER = bytes(range(32)), bytes(range(100, 164))
NOW, LAST = 1_800_000_000, (1 << 40) - 1
eu1 = endpoint_id("eu", "eu-1")
good = seal(SECRET, "shop", "__cflb", 0, eu1, NOW, NOW + 82_800)
raw = base64.urlsafe_b64decode(good)


def spelled(token, name, reject):
    return {"name": name, "now": NOW, "token": token, "reject": reject}


def opened(name, now, key_id, endpoint, issued, expires):
    token = seal({0: SECRET, 7: OTHER}[key_id], "shop", "__cflb", key_id, endpoint, issued, expires)
    return {"name": name, "now": now, "token": token, "endpoint_id": f"{endpoint:016x}", "key_id": key_id, "issued": issued, "expires": expires}


tokens = [
    opened("key id 0", NOW, 0, eu1, NOW, NOW + 82_800),
    opened("a verifying key", NOW, 7, eu1, NOW, NOW + 82_800),
    opened("the endpoint of all zeros", NOW, 0, 0, NOW, NOW + 1),
    opened("the endpoint of all ones", NOW, 0, MASK, NOW, NOW + 1),
    opened("issued at the epoch", 0, 0, eu1, 0, 82_800),
    opened("the last second that can be named", LAST - 1, 0, eu1, LAST - 82_800, LAST),
    spelled("", "empty", "malformed"),
    spelled(good[:-1], "cut by one", "malformed"),
    spelled(good + "A", "stretched by one", "malformed"),
    spelled(good[:-1] + "=", "padded", "malformed"),
    spelled(good[:10] + "+" + good[11:], "a character of the other base64 alphabet", "malformed"),
    spelled(good[:10] + " " + good[11:], "a space inside", "malformed"),
    spelled('"' + good[:-2] + '"', "quoted", "malformed"),
    spelled(base64.urlsafe_b64encode(b"\0" + raw[1:]).decode(), "version 0", "unknown_version"),
    spelled(seal(SECRET, "shop", "__cflb", 0, eu1, NOW, NOW + 60, version=2), "a well-made version 2", "unknown_version"),
    spelled(seal(SECRET, "shop", "__cflb", 9, eu1, NOW, NOW + 60), "a key id that is not there", "unknown_key"),
    spelled(seal(OTHER, "shop", "__cflb", 0, eu1, NOW, NOW + 60), "another secret under a known id", "forged"),
    spelled(seal(SECRET, "shop", "other", 0, eu1, NOW, NOW + 60), "another cookie's", "forged"),
    spelled(seal(SECRET, "shop2", "__cflb", 0, eu1, NOW, NOW + 60), "another load balancer's", "forged"),
    spelled(seal(SECRET, "shop", "__cflb", 0, eu1, NOW + 301, NOW + 400), "one second too far ahead", "premature"),
    spelled(seal(SECRET, "shop", "__cflb", 0, eu1, NOW - 82_800, NOW + 9), "older than the lifetime, whatever it says", "expired"),
    spelled(seal(SECRET, "shop", "__cflb", 0, eu1, NOW + 301, NOW - 1), "premature comes before expired", "premature"),
    spelled(base64.urlsafe_b64encode(raw[:20] + bytes(16)).decode(), "no tag", "forged"),
    spelled("A" * 48, "all zero bits", "unknown_version"),
    spelled("_" * 48, "all one bits", "unknown_version"),
]

# A header stands in the scope in the place of the cookie's name, with a colon, which no name of a cookie has.
HEADER = "header:x-session-affinity"


def issued(name, now, key_id, endpoint, begun, expires):
    token = seal({0: SECRET, 7: OTHER}[key_id], "shop", HEADER, key_id, endpoint, begun, expires)
    return {"name": name, "now": now, "token": token, "endpoint_id": f"{endpoint:016x}", "key_id": key_id, "issued": begun, "expires": expires}


header_tokens = [
    issued("a session that begins", NOW, 0, eu1, NOW, NOW + 82_800),
    issued("a verifying key", NOW + 82_799, 7, eu1, NOW, NOW + 82_800),
    issued("the endpoint of all ones", NOW, 0, MASK, NOW, NOW + 1),
    spelled(good, "a cookie's", "forged"),
    spelled(seal(SECRET, "shop", "x-session-affinity", 0, eu1, NOW, NOW + 60), "a cookie's of the same name", "forged"),
    spelled(seal(SECRET, "shop", "header:X-Session-Affinity", 0, eu1, NOW, NOW + 60), "in the capitals of a configuration", "forged"),
    spelled(seal(SECRET, "shop", "header:x-other", 0, eu1, NOW, NOW + 60), "another header's", "forged"),
    spelled(seal(SECRET, "shop2", HEADER, 0, eu1, NOW, NOW + 60), "another load balancer's", "forged"),
    spelled(seal(SECRET, "shop", HEADER, 0, eu1, NOW - 82_800, NOW), "over", "expired"),
    spelled(seal(SECRET, "shop", HEADER, 0, eu1, NOW, NOW + 60) + ", x", "two values on one line", "malformed"),
    spelled("", "an empty value", "malformed"),
]

names = [
    {"base": base, "scope": scope, "name": scoped(base, scope)}
    for base, scope in [("__cflb", "route-a"), ("__cflb", "route-b"), ("lb", ""), ("__Host-lb", "shop.example.com/cart"), ("lb", "Zürich")]
]

KEY_CASES = [
    (["x-user"], False, [("x-user", "alice")]),
    (["X-User"], False, [("x-user", "bob")]),
    (["x-user"], False, [("x-user", "alice"), ("x-user", "bob")]),
    (["x-user"], False, [("x-user", "alicebob")]),
    (["x-user"], False, [("x-user", ""), ("x-user", "alice")]),
    (["x-user"], False, [("x-user", "")]),
    (["x-user"], False, []),
    (["x-user", "x-tenant"], False, [("x-tenant", "alice")]),
    (["x-user", "x-tenant"], True, [("x-tenant", "alice")]),
    (["x-user", "x-tenant"], True, [("x-user", "a"), ("x-tenant", "b")]),
    (["cookie"], False, [("cookie", "a=1; b=2")]),
    (["cookie"], False, [("cookie", "a=1"), ("cookie", "b=2")]),
    (["cookie"], False, [("cookie", "a=1; __cflb=x"), ("cookie", "b=2")]),
    (["cookie"], False, [("cookie", "__cflb=x; a=1; b=2")]),
    (["cookie"], False, [("cookie", "__cflb=x")]),
    (["cookie:sid,cart"], False, [("cookie", "cart=7; sid=abc")]),
    (["cookie:sid,cart"], False, [("cookie", "cart=7")]),
    (["cookie:sid,cart"], True, [("cookie", "cart=7")]),
    (["cookie:sid,cart"], True, [("cookie", "cart=7; sid=abc; sid=def")]),
    (["cookie:sid"], False, [("cookie", "sid=")]),
    (["cookie:sid", "x-user", "cookie"], False, [("cookie", "sid=é"), ("x-user", "ü")]),
]
def shed_hash(balancer, key):
    """Of the 16 bytes of a session key; of an address likewise."""
    shed_key = hashlib.sha256(b"session-affinity v1 shed\0" + balancer.encode()).digest()[:16]
    return key and f"{siphash(shed_key, bytes.fromhex(key)):016x}"


keys = [
    {"headers": entries, "require_all_headers": every, "request": [list(header) for header in request],
     "key": session_key(OTHER, "shop", entries, every, request)}
    for entries, every, request in KEY_CASES
]
for entry in keys:
    entry["shed_hash"] = shed_hash("shop", entry["key"])

SEEDS = [0, 1, 0xDEADBEEF, 0x0123456789ABCDEF, MASK, siphash(b"session-affinity", b"golden")]
# Of the large pools the order is told as far as ten of a session's failovers would go.
POOLS = [
    [(f"eu-{i}", 100) for i in range(1, 4)],
    [("eu-1", 40), ("eu-2", 60)],
    [("eu-1", 1), ("eu-2", 100)],
    [(f"eu-{i}", weight) for i, weight in enumerate([1, 100, 0, 7, 50, 99, 33], 1)],
    [(f"eu-{i}", (i * 37) % 101) for i in range(64)],
    [(f"eu-{i}", 1) for i in range(300)],
    [(f"eu-{i}", (i * 37) % 101) for i in range(1_500)],
]
orders = []
for endpoints in POOLS:
    name_of = {endpoint_id("eu", name): name for name, _ in endpoints}
    weighted = [(endpoint_id("eu", name), weight) for name, weight in endpoints]
    first = lambda seed: " ".join(name_of[id] for id in choices(seed, weighted)[:64])
    orders.append({"endpoints": " ".join(f"{name}={weight}" for name, weight in endpoints),
                   "orders": [{"seed": f"{seed:016x}", "order": first(seed)} for seed in SEEDS]})
# A door, its rank, its draw and its time, for seeds and doors at both ends and in between.
steps = []
for seed in SEEDS:
    for door, weight in [(0, 100), (1, 50), (0x7FFF, 1), (0xFFFF, 33)]:
        rank, upper = rank_and_draw(seed, door)
        steps.append({"seed": f"{seed:016x}", "door": door, "rank": rank, "draw": upper, "weight": weight, "time": time(seed, door, weight)})
homes = doors(endpoint_id("eu", f"eu-{i}") for i in range(1_500))
displaced = [f"eu-{i}" for i in range(1_500) if homes[endpoint_id("eu", f"eu-{i}")] != mix(endpoint_id("eu", f"eu-{i}")) >> 48]
assert len(displaced) > 5, "the vectors show what a member does whose first door is taken"

PEERS = [
    [("eu", 100, 0), ("us", 100, 0), ("ap", 100, 0)],
    [("v1", 95, 0), ("v2", 5, 0)],
    [("eu", 50, 0), ("us", 0, 0), ("ap", 30, 0), ("sa", 20, 0)],
    [("eu", 0, 0), ("us", 0, 0), ("ap", 0, 0)],
    [("eu", 40, 1), ("us", 80, 3), ("ap", 20, 0), ("sa", 100, 4_000_000_000)],
    [(f"p{i}", (i * 37) % 101, i % 5) for i in range(12)],
]
pool_orders = []
for pools in PEERS:
    for seed in [0, 1, 0xDEADBEEF, 0x0123456789ABCDEF, MASK, siphash(b"session-affinity", b"golden")]:
        unloaded = [(name, weight, 0) for name, weight, _ in pools]
        pool_orders.append({"pools": [list(p) for p in pools], "seed": f"{seed:016x}",
                            "order": pool_order(seed, unloaded), "order_by_load": pool_order(seed, pools)})


def more():
    return {
        "provenance": "Printed by independent.py beside this file: a second implementation in Python, with the standard library alone.",
        "scope": {"load_balancer": "shop", "cookie": "__cflb", "ttl": 82_800, "clock_skew": 300,
                  "keys": [{"id": 0, "secret_hex": SECRET.hex()}, {"id": 7, "secret_hex": OTHER.hex()}]},
        "tokens": tokens, "session_keys": keys, "doors": {"pools": orders, "steps": steps}, "pool_orders": pool_orders,
        "header_scope": {"load_balancer": "shop", "header": "X-Session-Affinity", "ttl": 82_800, "clock_skew": 300,
                         "keys": [{"id": 0, "secret_hex": SECRET.hex()}, {"id": 7, "secret_hex": OTHER.hex()}]},
        "header_tokens": header_tokens, "cookie_names": names,
    }


if __name__ == "__main__":
    print(json.dumps(more(), ensure_ascii=False, indent=1))
