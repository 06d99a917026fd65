#!/usr/bin/env python3
"""Tokens that are refused, each for one reason, beside those that just open. It prints
refused.json, with Python's standard library and the functions of independent.py alone.

    python3 tests/vectors/refused.py > tests/vectors/refused.json
    python3 tests/vectors/refused.py --check tests/vectors/refused.json

Each test states the result by hand. Before anything is printed, and with --check, every
test is opened by open_token below, which knows the chapter on the token and nothing of
how the test was made.
"""

import base64, hashlib, itertools, json, sys

sys.dont_write_bytecode = True  # a folder of it would go into the package
from independent import MASK, endpoint_id, prf, siphash

LAST = (1 << 40) - 1
NOW = 1_800_000_000
TTL, SKEW = 82_800, 300
REASONS = ["malformed", "unknown_version", "unknown_key", "forged", "premature", "expired"]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# ---- opening: the chapter on the token, line by line

def scope_of(group):
    return group["cookie"] if "cookie" in group else "header:" + group["header"].lower()


def decode(value):
    """36 bytes, or None. No library decodes here: many take more than one spelling."""
    if len(value) != 48 or any(byte not in ALPHABET.encode() for byte in value):
        return None
    number = 0
    for byte in value:
        number = number << 6 | ALPHABET.index(chr(byte))
    return number.to_bytes(36, "big")


def open_token(group, value, now):
    """The pin as a dictionary, or the reason as a text."""
    token = decode(value)
    if token is None:
        return "malformed"
    if token[0] != 1:
        return "unknown_version"
    secrets = {key["id"]: bytes.fromhex(key["secretHex"]) for key in group["keys"]}
    if token[1] not in secrets:
        return "unknown_key"
    context = b"\0" + group["loadBalancer"].encode() + b"\0" + scope_of(group).encode()
    mac_key = prf(secrets[token[1]], b"session-affinity v1 mac", context)
    mask_key = prf(secrets[token[1]], b"session-affinity v1 mask", context)[:16]
    tag = token[20:]
    endpoint = int.from_bytes(token[2:10], "big") ^ siphash(mask_key, tag)
    if prf(mac_key, token[:2], endpoint.to_bytes(8, "big"), token[10:20])[:16] != tag:
        return "forged"
    now = min(now, LAST)
    issued, expires = int.from_bytes(token[10:15], "big"), int.from_bytes(token[15:20], "big")
    if issued > min(now + group["clockSkew"], LAST):
        return "premature"
    expires = min(expires, issued + group["ttl"], LAST)
    if expires <= now:
        return "expired"
    return {"endpoint": f"{endpoint:016x}", "issued": issued, "expires": expires}


def values(group, fields):
    """The values that a request has under the name of the carrier, in order."""
    if "header" in group:
        return [value for name, value in fields if name.lower() == group["header"].lower()]
    found = []
    for name, line in fields:
        for part in line.split(b";") if name.lower() == "cookie" else []:
            name, equals, value = part.partition(b"=")
            if equals and name.strip(b" \t") == group["cookie"].encode():
                found.append(value.strip(b" \t"))
    return found


def open_request(group, fields, now):
    """The result of a request's first four values: the first pin, else the first reason."""
    results = [open_token(group, value, now) for value in values(group, fields)[:4]]
    pins = [result for result in results if isinstance(result, dict)]
    return (pins or results or ["none"])[0]


def raw(test, name="value"):
    return bytes.fromhex(test[name + "Hex"]) if name + "Hex" in test else test[name].encode()


def check(document):
    """Opens every test, and looks at the document as a whole."""
    ids, reached = set(), set()
    for group in document["testGroups"]:
        inputs = [json.dumps([test.get(name) for name in ("value", "valueHex", "fields", "now")]) for test in group["tests"]]
        assert len(inputs) == len(set(inputs)), [test for test, it in zip(group["tests"], inputs) if inputs.count(it) > 1]
        for test in group["tests"]:
            if group["type"] == "Request":
                result = open_request(group, [(field["name"], raw(field)) for field in test["fields"]], test["now"])
            else:
                result = open_token(group, raw(test), test["now"])
            stated = test["pin"] if test["result"] == "valid" else test["reason"]
            assert result == stated, (test, result)
            assert test["tcId"] not in ids and test["comment"], test
            assert all(flag in document["notes"] for flag in test["flags"]) and test["flags"], test
            ids.add(test["tcId"])
            reached.add(result if isinstance(result, str) else "valid")
    assert ids == set(range(1, document["numberOfTests"] + 1))
    assert reached == {*REASONS, "valid", "none"}, reached
    return len(ids)

# ---- making

SECRETS = {1: bytes(range(0x20, 0x48)), 2: bytes(range(32)), 3: bytes(range(0x60, 0x80)), 255: bytes(range(0x80, 0xC0))}
EU1 = endpoint_id("eu", "eu-1")
NOTES = {
    "Valid": "The token opens. It stands beside tokens that differ in one thing and are refused.",
    "Length": "The value does not have 48 characters.",
    "Alphabet": "A character is outside the base64url alphabet of RFC 4648 section 5.",
    "Spelling": "The right 36 bytes, or nearly so, in another spelling: padding, another alphabet, white space, quotes, another encoding.",
    "Version": "The first byte is not 1, be the rest sealed for that version or not.",
    "KeyId": "The key id is not on the keyring, or is that of another secret.",
    "Rotation": "One ring of the steps of a rotation.",
    "BitFlip": "One bit of a token that opens is another one.",
    "FieldEdge": "A field of a token that opens is all zeroes or all ones, or a field of a sealed token has its least or greatest value.",
    "WrongConstruction": "The tag, the mask or a key is made in a way that is nearly right: the mistake of an implementation.",
    "Scope": "The token belongs to another load balancer, cookie or header, whose names resemble those of the scope.",
    "Secret": "The padding and hashing of HMAC keys: RFC 2104 section 2.",
    "TimeEdge": "The time of the request is at an edge of the token's times, or one second off.",
    "Clamp": "A time or a sum is at or beyond 2^40 - 1 seconds, where times end.",
    "Order": "More than one check would refuse the token; the first one in the order of the checks is the reason.",
    "SeveralValues": "A request with several values of the name: four are tried.",
}
groups, number = [], itertools.count(1)


def group(kind="Token", ids=(2, 1, 255), balancer="shop.example.com", ttl=TTL, skew=SKEW, secrets=SECRETS, **carrier):
    new = {"type": kind, "loadBalancer": balancer, **(carrier or {"cookie": "__cflb"}), "ttl": ttl, "clockSkew": skew,
           "keys": [{"id": id, "secretHex": secrets[id].hex()} for id in ids], "tests": []}
    groups.append(new)
    return new


def add(to, comment, flags, result, value, now=NOW, sealed_with=None):
    """result: a reason, or a pin (endpoint, issued, expires)."""
    text = {}
    if isinstance(value, list):
        text = {"fields": [{"name": name, **text_of(line)} for name, line in value]}
    else:
        text = text_of(value)
    test = {"tcId": next(number), "comment": comment, "flags": flags, "now": now, **text}
    if isinstance(result, str):
        test.update({"result": "invalid", "reason": result})
    else:
        endpoint, issued, expires = result
        test["flags"] = ["Valid", *(flag for flag in flags if flag != "Valid")]
        test.update({"result": "valid", "pin": {"endpoint": f"{endpoint:016x}", "issued": issued, "expires": expires}})
        if sealed_with is not None:
            test["sealedWith"] = sealed_with
    to["tests"].append(test)


def text_of(value):
    if isinstance(value, str):
        return {"value": value}
    return {"value": value.decode()} if value.isascii() else {"valueHex": value.hex()}


def right_head(version, key_id, endpoint, issued, expires):
    return bytes([version, key_id]) + endpoint.to_bytes(8, "big") + issued.to_bytes(5, "big") + expires.to_bytes(5, "big")


def made(secret=SECRETS[2], key_id=2, endpoint=EU1, issued=NOW, expires=NOW + TTL, version=1,
         balancer="shop.example.com", scope="__cflb", context=None, labels=(b"session-affinity v1 mac", b"session-affinity v1 mask"),
         keys=None, macced=None, tag=None, mask=None, masked=None):
    """The 36 bytes of a token, with any step replaced."""
    context = b"\0" + balancer.encode() + b"\0" + scope.encode() if context is None else context
    mac_key, mask_key = keys or (prf(secret, labels[0], context), prf(secret, labels[1], context)[:16])
    head = lambda endpoint: right_head(version, key_id, endpoint, issued, expires)
    plain = head(endpoint)
    made_tag = tag(mac_key, mask_key, plain) if tag else prf(mac_key, macced(plain) if macced else plain)[:16]
    made_mask = mask(mask_key, made_tag) if mask else siphash(mask_key, made_tag)
    return head(masked(endpoint, made_mask) if masked else endpoint ^ made_mask) + made_tag


def spell(token):
    return base64.urlsafe_b64encode(token).decode()


def sealed(**steps):
    return spell(made(**steps))


GOOD_BYTES = made()
GOOD = spell(GOOD_BYTES)
PIN = (EU1, NOW, NOW + TTL)

# One token, and all ways to spell it wrong.
main = group()
add(main, "the token that most tests below damage", ["Valid"], PIN, GOOD, sealed_with=2)
add(main, "no characters", ["Length"], "malformed", "")
for length in [1, 2, 3, 4, 8, 16, 24, 32, 40, 44, 45, 46, 47]:
    add(main, f"the first {length} characters", ["Length"], "malformed", GOOD[:length])
    add(main, f"the last {length} characters", ["Length"], "malformed", GOOD[-length:])
for more in ["A", "_", "AA", "AAA", "AAAA", GOOD, "A" * 48, GOOD * 85]:
    add(main, f"{len(more)} characters of the alphabet behind it", ["Length"], "malformed", GOOD + more)
add(main, "an A before it", ["Length"], "malformed", "A" + GOOD)
foreign = [chr(code) for code in range(128) if chr(code) not in ALPHABET]
for character in foreign:
    for place in [0, 29, 47]:
        name = f"the character {ord(character):#04x} at {place}"
        add(main, name, ["Alphabet"], "malformed", GOOD[:place] + character + GOOD[place + 1 :])
for byte in [0x80, 0xAA, 0xC1, 0xFF]:
    for place in [0, 29, 47]:
        value = GOOD[:place].encode() + bytes([byte]) + GOOD[place + 1 :].encode()
        add(main, f"the byte {byte:#04x} at {place}", ["Alphabet"], "malformed", value)
add(main, "the high bit of every byte set", ["Alphabet"], "malformed", bytes(byte | 0x80 for byte in GOOD.encode()))
add(main, "two bytes of UTF-8, 48 bytes in all", ["Alphabet"], "malformed", (GOOD[:46] + "é").encode())
add(main, "two bytes of UTF-8, 48 characters", ["Alphabet", "Length"], "malformed", (GOOD[:47] + "é").encode())
add(main, "a fullwidth letter, 48 bytes in all", ["Alphabet"], "malformed", (GOOD[:45] + "Ａ").encode())
add(main, "an overlong form of A", ["Alphabet"], "malformed", b"\xc1\x81" + GOOD[2:].encode())
add(main, "48 times NUL", ["Alphabet"], "malformed", "\0" * 48)
add(main, "48 spaces", ["Alphabet"], "malformed", " " * 48)
BOTH = next(endpoint for endpoint in range(1000) if {"-", "_"} <= set(sealed(endpoint=endpoint)))
both = sealed(endpoint=BOTH)
add(main, "a token with both characters that the alphabets do not share", ["Valid"], (BOTH, NOW, NOW + TTL), both, sealed_with=2)
for one, other, alphabet in [("-", "+", "standard alphabet"), ("_", "/", "standard alphabet"), ("_", ",", "alphabet of IMAP"), ("-", ".", "alphabet of Y64"), ("-", "~", "alphabet of Freenet")]:
    add(main, f"{other} for {one}, as in the {alphabet}", ["Spelling"], "malformed", both.replace(one, other))
add(main, "the standard alphabet", ["Spelling"], "malformed", base64.b64encode(made(endpoint=BOTH)).decode())
add(main, "- and _ exchanged", ["Spelling"], "forged", both.translate(str.maketrans("-_", "_-")))
for name, value in [
    ("one character of padding behind it", GOOD + "="), ("two characters of padding behind it", GOOD + "=="),
    ("padding for its last two characters", GOOD[:-2] + "=="),
    ("padding alone", "=" * 48), ("35 bytes without padding", spell(GOOD_BYTES[:35]).rstrip("=")), ("35 bytes with padding", spell(GOOD_BYTES[:35])),
    ("34 bytes with padding", spell(GOOD_BYTES[:34])), ("37 bytes without padding", spell(GOOD_BYTES + b"\1").rstrip("=")),
    ("a space before it", " " + GOOD), ("a space behind it", GOOD + " "), ("a tab behind it", GOOD + "\t"), ("a line feed behind it", GOOD + "\n"),
    ("a line end behind it", GOOD + "\r\n"), ("lines of 24 characters", GOOD[:24] + "\r\n" + GOOD[24:]), ("a NUL behind it", GOOD + "\0"),
    ("double quotes around it", f'"{GOOD}"'), ("single quotes around it", f"'{GOOD}'"), ("double quotes, 48 characters in all", f'"{GOOD[1:-1]}"'),
    ("a percent-encoded first character", "%41" + GOOD[1:]), ("percent-encoding of what needs none, 48 characters", "%41" + GOOD[3:]),
    ("hexadecimal", GOOD_BYTES.hex()), ("base32", base64.b32encode(GOOD_BYTES).decode()), ("Ascii85", base64.a85encode(GOOD_BYTES).decode()),
    ("base64url of the token itself", spell(GOOD.encode())), ("two tokens with a comma", f"{GOOD}, {GOOD}"), ("a parameter behind it", f"{GOOD}; v=1"),
    ("an attribute's comma behind it", GOOD + ","), ("a byte order mark before it", "\ufeff" + GOOD), ("the name before it", "__cflb=" + GOOD),
]:
    add(main, name, ["Spelling"], "malformed", value.encode())
add(main, "all capitals", ["Spelling"], "forged", GOOD.upper())
add(main, "all small letters", ["Spelling"], "unknown_version", GOOD.lower())
letter = next(place for place in range(47, 27, -1) if GOOD[place].isalpha())
add(main, "one letter of the tag in the other case", ["Spelling"], "forged", GOOD[:letter] + GOOD[letter].swapcase() + GOOD[letter + 1 :])
add(main, "its characters backwards", ["Spelling"], "unknown_version", GOOD[::-1])
add(main, "its bytes backwards", ["Spelling"], "unknown_version", spell(GOOD_BYTES[::-1]))

# The version.
for version in [0, 2, 3, 5, 9, 17, 33, 65, 127, 128, 129, 254, 255]:
    add(main, f"version {version}, sealed as such", ["Version"], "unknown_version", sealed(version=version))
    add(main, f"version {version} in a token of version 1", ["Version"], "unknown_version", spell(bytes([version]) + GOOD_BYTES[1:]))
    add(main, f"version 1 in a token of version {version}", ["Version"], "forged", spell(b"\1" + made(version=version)[1:]))
add(main, "all zero bits", ["Version", "FieldEdge"], "unknown_version", "A" * 48)
add(main, "all one bits", ["Version", "FieldEdge"], "unknown_version", "_" * 48)

# The key id.
for key_id in [0, 3, 4, 6, 10, 18, 34, 66, 127, 128, 130, 254]:
    add(main, f"key id {key_id}, sealed as such", ["KeyId"], "unknown_key", sealed(key_id=key_id))
    add(main, f"key id {key_id} in a token of key 2", ["KeyId"], "unknown_key", spell(bytes([1, key_id]) + GOOD_BYTES[2:]))
for key_id, other in itertools.permutations([1, 2, 255], 2):
    add(main, f"a token of key {other} under the id {key_id}", ["KeyId"], "forged", sealed(secret=SECRETS[other], key_id=key_id))
    token = made(secret=SECRETS[other], key_id=other)
    add(main, f"the id of a token of key {other} changed to {key_id}", ["KeyId"], "forged", spell(bytes([1, key_id]) + token[2:]))
for key_id in [1, 255]:
    add(main, f"a token of key {key_id}", ["Valid", "KeyId"], PIN, sealed(secret=SECRETS[key_id], key_id=key_id), sealed_with=key_id)

# One bit of each byte behind the key id, the highest and the lowest.
FIELDS = [("endpoint", 2, 10), ("issued", 10, 15), ("expires", 15, 20), ("tag", 20, 36)]
for name, start, end in FIELDS:
    for place in range(start, end):
        for bit in [0x80, 0x01]:
            token = bytes(byte ^ (bit if at == place else 0) for at, byte in enumerate(GOOD_BYTES))
            add(main, f"bit {bit:#04x} of byte {place}, {name}", ["BitFlip"], "forged", spell(token))
for name, start, end in FIELDS:
    for fill in [0x00, 0xFF]:
        token = GOOD_BYTES[:start] + bytes([fill]) * (end - start) + GOOD_BYTES[end:]
        add(main, f"every byte of {name} is {fill:#04x}", ["FieldEdge"], "forged", spell(token))
add(main, "all behind the key id is zero", ["FieldEdge"], "forged", spell(bytes([1, 2]) + bytes(34)))
add(main, "all behind the key id is ones", ["FieldEdge"], "forged", spell(bytes([1, 2]) + b"\xff" * 34))
add(main, "issued and expires exchanged", ["FieldEdge"], "forged", spell(GOOD_BYTES[:10] + GOOD_BYTES[15:20] + GOOD_BYTES[10:15] + GOOD_BYTES[20:]))
other = made(endpoint=endpoint_id("eu", "eu-2"))
add(main, "the head of one token, the tag of another one", ["BitFlip"], "forged", spell(GOOD_BYTES[:20] + other[20:]))
add(main, "the masked endpoint of another token", ["BitFlip"], "forged", spell(GOOD_BYTES[:2] + other[2:10] + GOOD_BYTES[10:]))
later = made(issued=NOW + 1, expires=NOW + 1 + TTL)
add(main, "the times of a later token of this endpoint", ["BitFlip"], "forged", spell(GOOD_BYTES[:10] + later[10:20] + GOOD_BYTES[20:]))
for name, endpoint in [("0", 0), ("1", 1), ("2^63", 1 << 63), ("2^64 - 1", MASK)]:
    add(main, f"the endpoint id {name}", ["Valid", "FieldEdge"], (endpoint, NOW, NOW + TTL), sealed(endpoint=endpoint), sealed_with=2)

# The mistakes of an implementation.
context = b"\0shop.example.com\0__cflb"
derive = lambda label, context=context: prf(SECRETS[2], label, context)
MAC, MASK_LABEL = b"session-affinity v1 mac", b"session-affinity v1 mask"
little = lambda plain: plain[:2] + plain[2:10][::-1] + plain[10:15][::-1] + plain[15:20][::-1]
for name, steps in [
    ("the tag is of the head without the version", dict(macced=lambda plain: plain[1:])),
    ("the tag is of the head without the version and the key id", dict(macced=lambda plain: plain[2:])),
    ("the tag is of the endpoint and the times in little-endian", dict(macced=little)),
    ("the tag is of times of eight bytes", dict(macced=lambda plain: plain[:10] + b"\0\0\0" + plain[10:15] + b"\0\0\0" + plain[15:])),
    ("the tag has the endpoint behind the times", dict(macced=lambda plain: plain[:2] + plain[10:] + plain[2:10])),
    ("the tag is of the head and a zero byte", dict(macced=lambda plain: plain + b"\0")),
    ("the tag is of the base64url of the head", dict(macced=base64.urlsafe_b64encode)),
    ("the tag is the second half of the MAC", dict(tag=lambda mac, _, plain: prf(mac, plain)[16:])),
    ("the tag's bytes are backwards", dict(tag=lambda mac, _, plain: prf(mac, plain)[:16][::-1])),
    ("the tag is made with the mask key", dict(tag=lambda _, mask, plain: prf(mask, plain)[:16])),
    ("the tag is made with the first half of its key", dict(tag=lambda mac, _, plain: prf(mac[:16], plain)[:16])),
    ("the tag is made with the secret itself", dict(tag=lambda *keys: prf(SECRETS[2], keys[2])[:16])),
    ("the tag is SHA-256 of key and head", dict(tag=lambda mac, _, plain: hashlib.sha256(mac + plain).digest()[:16])),
    ("the tag is SipHash-128 of the head", dict(tag=lambda mac, _, plain: siphash(mac[:16], plain, wide=True))),
    ("the endpoint is not masked", dict(masked=lambda endpoint, mask: endpoint)),
    ("the mask is added", dict(masked=lambda endpoint, mask: endpoint + mask & MASK)),
    ("the mask is little-endian", dict(masked=lambda endpoint, mask: endpoint ^ int.from_bytes(mask.to_bytes(8, "big"), "little"))),
    ("the mask is of half of the tag", dict(mask=lambda key, tag: siphash(key, tag[:8]))),
    ("the mask is of the tag's bytes backwards", dict(mask=lambda key, tag: siphash(key, tag[::-1]))),
    ("the mask is made with its key's halves exchanged", dict(mask=lambda key, tag: siphash(key[8:] + key[:8], tag))),
    ("the mask is made with a big-endian key", dict(mask=lambda key, tag: siphash(key[:8][::-1] + key[8:][::-1], tag))),
    ("the mask is the first half of SipHash-128", dict(mask=lambda key, tag: int.from_bytes(siphash(key, tag, wide=True)[:8], "little"))),
    ("the mask is HMAC of the tag", dict(mask=lambda key, tag: int.from_bytes(prf(key, tag)[:8], "big"))),
    ("the mask key is the second half of what is derived", dict(keys=(derive(MAC), derive(MASK_LABEL)[16:]))),
    ("the mask key is of the label of the mac key", dict(keys=(derive(MAC), derive(MAC)[:16]))),
    ("the mac key is of the label of the mask key", dict(keys=(derive(MASK_LABEL), derive(MASK_LABEL)[:16]))),
    ("the labels are exchanged", dict(labels=(MASK_LABEL, MAC))),
    ("the labels are those of version 2", dict(labels=(b"session-affinity v2 mac", b"session-affinity v2 mask"))),
    ("the labels have no version", dict(labels=(b"session-affinity mac", b"session-affinity mask"))),
    ("the label of header sessions", dict(labels=(b"session-affinity v1 header", MASK_LABEL))),
    ("no zero byte before the load balancer", dict(context=context[1:])),
    ("no zero byte between the names", dict(context=b"\0shop.example.com__cflb")),
    ("spaces for zero bytes", dict(context=b" shop.example.com __cflb")),
    ("a zero byte behind the scope", dict(context=context + b"\0")),
    ("the names exchanged", dict(context=b"\0__cflb\0shop.example.com")),
    ("only the load balancer", dict(context=b"\0shop.example.com")),
    ("only the cookie", dict(context=b"\0__cflb")),
    ("the lengths of the names before them", dict(context=b"\0\x10shop.example.com\x06__cflb")),
    ("the key id in the context", dict(context=context + b"\0\2")),
    ("no context", dict(context=b"")),
    ("the secret in hexadecimal", dict(secret=SECRETS[2].hex().encode())),
    ("the secret in base64", dict(secret=base64.b64encode(SECRETS[2]))),
    ("the SHA-256 of the secret", dict(secret=hashlib.sha256(SECRETS[2]).digest())),
    ("the secret backwards", dict(secret=SECRETS[2][::-1])),
    ("a secret without its last byte", dict(secret=SECRETS[2][:-1])),
    ("a secret of zero bytes", dict(secret=bytes(32))),
]:
    add(main, name, ["WrongConstruction"], "forged", sealed(**steps))

# Scopes that resemble each other.
SCOPES = [
    ("a", "bc"), ("ab", "c"), ("a", "b"), ("A", "bc"), ("a", "BC"), ("a", "Bc"), ("a ", "bc"), (" a", "bc"), ("a.", "bc"), ("aa", "bc"), ("a", "bcc"), ("a", "cb"),
    ("bc", "a"), ("abc", "a"), ("a", "abc"), ("a=", "bc"), ("a;", "bc"), ("a", "__Host-bc"), ("a", "__Secure-bc"), ("a", "header"),
    ("a", "header:bc"), ("a", "header:b"), ("a", "header:bcc"), ("a", "header:x-bc"), ("header:a", "bc"),
]
for balancer, scope in SCOPES:
    carrier = {"header": scope[len("header:") :]} if scope.startswith("header:") else {"cookie": scope}
    there = group(balancer=balancer, ids=(2,), **carrier)
    own = sealed(balancer=balancer, scope=scope)
    add(there, f"of its own scope, {balancer!r} and {scope!r}", ["Valid", "Scope"], PIN, own, sealed_with=2)
    others = SCOPES if (balancer, scope) in [("a", "bc"), ("a", "header:bc")] else [("a", "bc"), ("a", "header:bc")]
    for other in others:
        if other != (balancer, scope):
            add(there, f"of {other[0]!r} and {other[1]!r}", ["Scope"], "forged", sealed(balancer=other[0], scope=other[1]))
there = group(header="X-Session-Affinity", ids=(2,))
add(there, "the name of the header is in small letters, however it is configured", ["Valid", "Scope"], PIN, sealed(scope="header:x-session-affinity"), sealed_with=2)
for scope in ["header:X-Session-Affinity", "HEADER:x-session-affinity", "x-session-affinity", "X-Session-Affinity", "header: x-session-affinity",
              "header:x-session-affinity ", "header:x-session-affinity:", "header=x-session-affinity", "header:x-session-affinit", "header:x-session-affinity2",
              "header:x_session_affinity", "cookie:x-session-affinity", "header:", "header", "__cflb", "header:__cflb", "set-cookie:x-session-affinity"]:
    add(there, f"of the scope {scope!r}", ["Scope"], "forged", sealed(scope=scope))
for name, balancer, others in [
    ("ü in one code point", "z\u00fcrich", ["zu\u0308rich", "zurich", "Z\u00fcrich", "z\u00dcrich", "zuerich", "z\u00c3\u00bcrich"]),
    ("ü in two code points", "zu\u0308rich", ["z\u00fcrich"]),
    ("255 bytes", "n" * 255, ["n" * 254, "n" * 256]),
    ("a name with a colon", "shop:header", ["shop"]),
]:
    there = group(balancer=balancer, ids=(2,))
    add(there, f"a load balancer of {name}", ["Valid", "Scope"], PIN, sealed(balancer=balancer), sealed_with=2)
    for other in others:
        shown = other if len(other) < 20 else f"{len(other)} letters"
        add(there, f"of {shown!r}, the names are bytes", ["Scope"], "forged", sealed(balancer=other))

# The keys of HMAC: a token of each secret under each other one.
counted = lambda length: bytes(range(1, length + 1))
RELATED = {
    "32 bytes": counted(32), "33 bytes": counted(33), "64 bytes": counted(64), "65 bytes": counted(65), "128 bytes": counted(128),
    "32 bytes and a zero byte": counted(32) + b"\0", "32 bytes and 32 zero bytes": counted(32).ljust(64, b"\0"),
    "32 bytes and 33 zero bytes": counted(32).ljust(65, b"\0"), "a zero byte and 32 bytes": b"\0" + counted(32),
    "the SHA-256 of 32 bytes": hashlib.sha256(counted(32)).digest(), "the SHA-256 of 64 bytes": hashlib.sha256(counted(64)).digest(),
    "the SHA-256 of 65 bytes": hashlib.sha256(counted(65)).digest(), "the SHA-256 of 128 bytes": hashlib.sha256(counted(128)).digest(),
}
EQUAL = [{"32 bytes", "32 bytes and a zero byte", "32 bytes and 32 zero bytes"}, {"65 bytes", "the SHA-256 of 65 bytes"}, {"128 bytes", "the SHA-256 of 128 bytes"}]
for ours, secret in RELATED.items():
    there, seen = group(ids=(7,), secrets={7: secret}), set()
    equal = next((names for names in EQUAL if ours in names), {ours})
    for theirs in [ours, *RELATED]:
        token = sealed(secret=RELATED[theirs], key_id=7)
        if token in seen:
            assert theirs in equal or any(theirs in names for names in EQUAL)
        elif theirs in equal:
            comment = f"a secret of {ours}" + "".join(f", the same key as {other}" for other in sorted(equal - {ours}))
            add(there, comment, ["Valid", "Secret"], PIN, token, sealed_with=7)
        else:
            add(there, f"a secret of {ours}, a token of a secret of {theirs}", ["Secret"], "forged", token)
        seen.add(token)

# The times.
def timed(there, comment, now, issued, expires, result, flags=("TimeEdge",)):
    token = sealed(issued=issued, expires=expires)
    pin = result if isinstance(result, str) else (EU1, issued, result)
    exact = not isinstance(result, str) and result == expires
    add(there, comment, list(flags), pin, token, now, 2 if exact else None)


for ttl, skew in [(82_800, 300), (1_800, 0), (604_800, 86_400), (2, 1), (315_360_000, 86_400)]:
    there = group(ids=(2,), ttl=ttl, skew=skew)
    timed(there, "issued now", NOW, NOW, NOW + ttl, NOW + ttl)
    timed(there, "issued at the edge of the skew", NOW, NOW + skew, NOW + skew + 5, "expired" if skew + 5 <= 0 else NOW + skew + min(ttl, 5))
    timed(there, "issued one second beyond the skew", NOW, NOW + skew + 1, NOW + skew + 6, "premature")
    timed(there, "issued far beyond the skew", NOW, NOW + 10 * 365 * 86_400, LAST, "premature")
    timed(there, "one second before its end", NOW, NOW - ttl + 1, NOW + 1, NOW + 1)
    timed(there, "in the second of its end", NOW, NOW - ttl, NOW, "expired")
    timed(there, "one second after its end", NOW, NOW - ttl - 1, NOW - 1, "expired")
    timed(there, "its own end is now, its life is not over", NOW, NOW, NOW, "expired")
    timed(there, "its own end was a second ago, its life is not over", NOW, NOW, NOW - 1, "expired")
    timed(there, "its own end is one second ahead", NOW, NOW, NOW + 1, NOW + 1)
    timed(there, "its own end is beyond the lifetime: the lifetime counts", NOW, NOW, NOW + ttl + 1, NOW + ttl)
    timed(there, "its own end is the last second: the lifetime counts", NOW, NOW, LAST, NOW + ttl)
    timed(there, "the lifetime ends now, its own end does not", NOW, NOW - ttl, LAST, "expired")
    timed(there, "the lifetime ends in one second, its own end does not", NOW, NOW - ttl + 1, LAST, NOW + 1)
    timed(there, "its end is 0", NOW, NOW, 0, "expired")
    timed(there, "issued at the epoch", NOW, 0, LAST, "expired")
    timed(there, "premature comes before expired", NOW, NOW + skew + 1, NOW - 1, "premature", ("TimeEdge", "Order"))
    timed(there, "now is the epoch", 0, 0, ttl, ttl)
    timed(there, "now is the epoch, issued one second beyond the skew", 0, skew + 1, skew + 9, "premature")
    clamp = ("TimeEdge", "Clamp")
    timed(there, "the last second that a token can name", LAST, LAST, LAST, "expired", clamp)
    timed(there, "one second before the last, which ends every lifetime", LAST - 1, LAST - 1, LAST, LAST, clamp)
    if skew > 1:
        timed(there, "now and the skew go beyond the last second", LAST - skew + 1, LAST, LAST, LAST, clamp)
    for name, now in [("2^40 - 1", LAST), ("2^40", LAST + 1), ("2^40 + 1", LAST + 2), ("2^41", 1 << 41), ("2^53 - 1", (1 << 53) - 1)]:
        timed(there, f"now is {name}: no token is live in the last second", now, LAST - 1, LAST, "expired", clamp)
    timed(there, "a clock that says 0 in place of now", 0, NOW, NOW + ttl, "premature")
there = group(ids=(2,), ttl=82_800, skew=0)
timed(there, "issued in the last second, now one before it, without skew", LAST - 1, LAST, LAST, "premature", ("TimeEdge", "Clamp"))
there = group(ids=(2,), ttl=82_800, skew=1)
timed(there, "issued in the last second, now one before it, with a skew of one", LAST - 1, LAST, LAST, LAST, ("TimeEdge", "Clamp"))
timed(there, "its own end is before it was issued, which is within the skew", NOW, NOW + 1, NOW, "expired")
there = group(ids=(2,))
timed(there, "issued within the skew, ends before it was issued and after now", NOW, NOW + 300, NOW + 1, NOW + 1)

# Each reason before each other one: every set of faults.
there = group(ids=(2, 1))
for count in range(1, 7):
    for faults in itertools.combinations(REASONS, count):
        steps = {}
        if "unknown_version" in faults: steps["version"] = 2
        if "unknown_key" in faults: steps["key_id"] = 9
        if "forged" in faults: steps["secret"] = SECRETS[3]
        if "premature" in faults: steps.update(issued=NOW + SKEW + 1, expires=NOW + TTL)
        if "expired" in faults: steps.setdefault("issued", NOW - TTL); steps["expires"] = NOW
        value = sealed(**steps)
        name = " and ".join(faults)
        flags = ["Order"]
        if "malformed" in faults:
            add(there, f"{name}: a character too few", flags, "malformed", value[:-1])
            add(there, f"{name}: a foreign character at the end", flags, "malformed", value[:-1] + "=")
        else:
            add(there, name, flags, faults[0], value)

# The rings of a rotation, and a token of each key under each.
for ids in [(1,), (1, 2), (2, 1), (2,), (3, 2, 1), (1, 2, 3), (255,)]:
    there = group(ids=ids)
    for key_id in [1, 2, 3, 255]:
        known = key_id in ids
        add(there, f"of key {key_id}, under the ring {list(ids)}", ["Rotation"] + ["Valid"] * known, PIN if known else "unknown_key",
            sealed(secret=SECRETS[key_id], key_id=key_id), sealed_with=key_id if known else None)
there = group(ids=(2, 1), secrets={2: SECRETS[2], 1: SECRETS[3]})
add(there, "the id 1 came back with another secret", ["Rotation", "KeyId"], "forged", sealed(secret=SECRETS[1], key_id=1))
add(there, "the secret of an old id under a new one", ["Rotation", "KeyId"], "forged", sealed(secret=SECRETS[3], key_id=2))

# Requests: which values count, how many are tried, whose reason is told.
there = group("Request", ids=(2, 1))
FORGED = spell(GOOD_BYTES[:35] + bytes([GOOD_BYTES[35] ^ 1]))
OVER = sealed(issued=NOW - TTL, expires=NOW)
SECOND = sealed(secret=SECRETS[1], key_id=1, endpoint=endpoint_id("eu", "eu-2"))
SECOND_PIN = (endpoint_id("eu", "eu-2"), NOW, NOW + TTL)
one = lambda line: [("cookie", line)]
own = lambda *values: one("; ".join(f"__cflb={value}" for value in values))
for name, result, fields in [
    ("one value", PIN, own(GOOD)),
    ("no field", "none", []),
    ("another field", "none", [("x-cookie", f"__cflb={GOOD}")]),
    ("the name alone", "none", one("__cflb")),
    ("an empty value counts", "malformed", own("")),
    ("between other cookies", PIN, one(f"a=1; __cflb={GOOD}; b=2")),
    ("without spaces between", PIN, one(f"a=1;__cflb={GOOD};b=2")),
    ("spaces and tabs around the name and the value", PIN, one(f"a=1;\t __cflb \t=\t {GOOD} \t;b")),
    ("another name that ends so", "none", one(f"x__cflb={GOOD}")),
    ("another name that begins so", "none", one(f"__cflbx={GOOD}")),
    ("the name in capitals", "none", one(f"__CFLB={GOOD}")),
    ("the name in quotes", "none", one(f'"__cflb"={GOOD}')),
    ("the value in quotes", "malformed", own(f'"{GOOD}"')),
    ("the name within a value", "none", one(f"a=__cflb={GOOD}")),
    ("a comma does not separate", "none", one(f"a=1, __cflb={GOOD}")),
    ("a second equals sign belongs to the value", "malformed", own(f"={GOOD}")),
    ("the first of two", PIN, own(GOOD, SECOND)),
    ("the first of two the other way round", SECOND_PIN, own(SECOND, GOOD)),
    ("behind one that is forged", PIN, own(FORGED, GOOD)),
    ("behind one that is over", PIN, own(OVER, GOOD)),
    ("behind three", PIN, own("x", FORGED, OVER, GOOD)),
    ("behind four", "malformed", own("x", FORGED, OVER, "y", GOOD)),
    ("behind four empty ones", "malformed", own("", "", "", "", GOOD)),
    ("behind four and two more", "forged", own(FORGED, "x", "x", "x", GOOD, GOOD, GOOD)),
    ("the reason of the first counts, not the last", "forged", own(FORGED, OVER)),
    ("the reason of the first counts, not the furthest", "malformed", own("x", OVER)),
    ("parts of other names are not tried", PIN, one("a=1; " * 50 + f"__cflb={GOOD}")),
    ("parts without an equals sign are not tried", PIN, one("__cflb; " * 8 + f"__cflb={GOOD}")),
    ("two field lines", PIN, [("cookie", "a=1"), ("cookie", f"__cflb={GOOD}")]),
    ("four over two field lines, then ours", "malformed", own("x", "y") + own("z", "w", GOOD)),
    ("three over two field lines, then ours", PIN, own("x", "y") + own("z", GOOD)),
    ("empty parts", PIN, one(f";; ;__cflb={GOOD};;")),
]:
    add(there, name, ["SeveralValues"], result, fields)
there = group("Request", ids=(2, 1), header="x-session-affinity")
HEADER = dict(scope="header:x-session-affinity")
good, forged, over = sealed(**HEADER), spell(made(**HEADER)[:35] + b"\0"), sealed(**HEADER, issued=NOW - TTL, expires=NOW)
lines = lambda *values: [("x-session-affinity", value) for value in values]
for name, result, fields in [
    ("one line", PIN, lines(good)),
    ("no line", "none", []),
    ("the name in capitals", PIN, [("X-SESSION-AFFINITY", good)]),
    ("another name", "none", [("x-session-affinity2", good)]),
    ("in a cookie of the name", "none", [("cookie", f"x-session-affinity={good}")]),
    ("an empty line counts", "malformed", lines("")),
    ("a line is not split at commas", "malformed", lines(f"{good}, {good}")),
    ("a line is not split at semicolons", "malformed", lines(f"{good}; v=1")),
    ("behind three lines", PIN, lines("x", forged, over, good)),
    ("behind four lines", "malformed", lines("x", forged, over, "y", good)),
    ("the reason of the first counts", "expired", lines(over, forged, "x")),
    ("a cookie's token", "forged", lines(GOOD)),
    ("bytes above ASCII", "malformed", lines("é".encode())),
]:
    add(there, name, ["SeveralValues"], result, fields)

document = {
    "algorithm": "session-affinity token, version 1",
    "schema": "tests/README.md, Vectors",
    "numberOfTests": next(number) - 1,
    "notes": NOTES,
    "testGroups": groups,
}


def printed(document):
    """JSON with one test a line, so that a change shows as the lines of its tests."""
    show = lambda value: json.dumps(value, ensure_ascii=True)
    rows = [f' "{name}": {show(value)}' for name, value in document.items() if name != "testGroups"]
    parts = []
    for each in document["testGroups"]:
        head = show({name: value for name, value in each.items() if name != "tests"})[:-1]
        parts.append(f'  {head}, "tests": [\n' + ",\n".join("   " + show(test) for test in each["tests"]) + "\n  ]}")
    return "{\n" + ",\n".join(rows) + ',\n "testGroups": [\n' + ",\n".join(parts) + "\n ]\n}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        print(check(json.load(open(sys.argv[2]))), "tests agree")
    else:
        check(json.loads(printed(document)))
        print(printed(document))
