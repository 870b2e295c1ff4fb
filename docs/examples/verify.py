# Verifies one envelope without Sealcast: python3 verify.py KEYRING_DIRECTORY < envelope.json
import base64, hashlib, hmac, json, math, pathlib, re, sys


def number(value):
    """Returns ECMAScript's Number::toString of the nearest double."""
    value = float(value)
    if not math.isfinite(value):
        raise ValueError("number overflows a double")
    if value == 0:
        return "0"
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    # The value is 0.digits * 10**point.
    point = int(exponent or 0) + len(whole) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        text = digits + "0" * (point - len(digits))
    elif 0 < point <= 21:
        text = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + ("." + digits[1:] if digits[1:] else "") + "e%+d" % (point - 1)
    return ("-" if value < 0 else "") + text


def decimal(literal):
    """Returns the decimal value of a number as its digits and the exponent of the last digit."""
    whole, fraction, exponent = re.fullmatch(r"-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", literal).groups("")
    digits = (whole + fraction).lstrip("0")
    kept = digits.rstrip("0")
    return kept, int(exponent or 0) - len(fraction) + len(digits) - len(kept) if kept else 0


def exact(literal):
    """Returns the canonical literal as a Number. Raises ValueError if it has another value."""
    text = number(literal)
    if decimal(text) != decimal(literal):
        raise ValueError("number is not exact in a double")
    return Number(text)


class Number(str):
    """The canonical literal of a number."""


def members(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def constant(name):
    raise ValueError(name + " is not JSON")


def parse(data):
    return json.loads(
        data.decode("utf-8"), parse_int=exact, parse_float=exact, parse_constant=constant, object_pairs_hook=members
    )


def string(value):
    if "\0" in value:
        raise ValueError("U+0000 cannot be stored")
    value.encode("utf-8")  # raises for a lone surrogate
    return json.dumps(value, ensure_ascii=False)


def canonicalize(value, levels=128):
    """Writes a payload, which may have 128 levels of arrays and objects."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return string(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if levels == 0:
        raise ValueError("nesting is deeper than 128 levels")
    if isinstance(value, list):
        return "[" + ",".join(canonicalize(item, levels - 1) for item in value) + "]"
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(string(key) + ":" + canonicalize(value[key], levels - 1) for key in keys) + "}"


def signing_string(e):
    # A redacted envelope has the hash of its content instead of the content.
    digest = e["payload_hash"] if "payload_hash" in e else hashlib.sha256(canonicalize(e["d"]).encode()).hexdigest()
    return "v=1|t={t}|stream_id={stream_id}|sender_id={s}|txn_id={txn_id}|ts={ts}|payload_hash=".format(**e) + digest


# Ed25519 (RFC 8032, 5.1) in affine coordinates. This is slow and not in constant time. Verifying needs no secret, so
# constant time is not necessary.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def decode_point(data):
    y = int.from_bytes(data, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and data[31] >> 7):
        raise ValueError("not a point of the curve")
    return (x if x % 2 == data[31] >> 7 else P - x), y


def add(a, b):
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def times(number, point):
    total = (0, 1)
    while number:
        total = add(total, point) if number & 1 else total
        point, number = add(point, point), number >> 1
    return total


BASE = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def public_key(pem):
    """Returns the public key from a private key, as in the keyring, or from a public key."""
    der = base64.b64decode("".join(line for line in pem.decode().splitlines() if "-" not in line))
    if der[:-32].hex() == "302e020100300506032b657004220420":
        half = bytearray(hashlib.sha512(der[-32:]).digest()[:32])
        half[0], half[31] = half[0] & 248, half[31] & 127 | 64
        x, y = times(int.from_bytes(half, "little"), BASE)
        return (y | (x & 1) << 255).to_bytes(32, "little")
    if der[:-32].hex() == "302a300506032b6570032100":
        return der[-32:]
    raise ValueError("not an Ed25519 key")


def verify_ed25519(key, text, sig):
    number = int.from_bytes(sig[32:], "little")
    if len(sig) != 64 or number >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(sig[:32] + key + text).digest(), "little") % ORDER
    try:
        return times(number, BASE) == add(decode_point(sig[:32]), times(challenge, decode_point(key)))
    except ValueError:
        return False


def verify(data, keyring):
    try:
        e = parse(data)
        if not isinstance(e, dict):
            return "malformed"
        redacted = "payload_hash" in e
        if sorted(set(e) - {"payload_hash"}) != "d kid s sig stream_id t ts txn_id v".split():
            return "malformed"
        if redacted and (e["d"] is not None or type(e["payload_hash"]) is not str):
            return "malformed"
        if redacted and not re.fullmatch(r"[0-9a-f]{64}", e["payload_hash"]):
            return "malformed"
        if not isinstance(e["v"], Number) or e["v"] != "1":
            return "malformed"
        if not isinstance(e["ts"], Number) or not e["ts"].isdigit() or int(e["ts"]) > 253402300799999:
            return "malformed"
        signed = re.compile(r"[^|=\x00-\x1f\x7f-\x9f]+")
        for name in "t stream_id s txn_id kid sig".split():
            if not isinstance(e[name], str) or isinstance(e[name], Number) or not signed.fullmatch(e[name]):
                return "malformed"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", e["kid"]) or not re.fullmatch(r"([0-9a-f]{64}){1,2}", e["sig"]):
            return "malformed"
        text, sig = signing_string(e).encode(), bytes.fromhex(e["sig"])
    except (ValueError, RecursionError):
        return "malformed"
    # The key determines the algorithm; the signature does not.
    secret, pem = pathlib.Path(keyring) / e["kid"], pathlib.Path(keyring) / (e["kid"] + ".ed25519")
    if pem.exists():
        good = verify_ed25519(public_key(pem.read_bytes()), text, sig)
    elif secret.exists():
        expected = hmac.new(secret.read_bytes().removesuffix(b"\n"), text, hashlib.sha256).digest()
        good = hmac.compare_digest(expected, sig)
    else:
        return "unknown_kid"
    if not good:
        return "bad_signature"
    return "redacted" if redacted else "ok"


if __name__ == "__main__":
    result = verify(sys.stdin.buffer.read(), sys.argv[1])
    print(result)
    sys.exit(result != "ok")
