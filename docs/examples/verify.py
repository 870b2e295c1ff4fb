# Checks one envelope without Sealcast: python3 verify.py KEYRING_DIRECTORY < envelope.json
import hashlib, hmac, json, math, pathlib, re, sys


def number(value):
    """ECMAScript Number::toString of the nearest double."""
    value = float(value)
    if not math.isfinite(value):
        raise ValueError("number beyond a double")
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


def string(value):
    value.encode("utf-8")  # raises for a lone surrogate
    return json.dumps(value, ensure_ascii=False)


def canonicalize(value):
    if isinstance(value, str):
        return string(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonicalize, value)) + "]"
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(string(key) + ":" + canonicalize(value[key]) for key in keys) + "}"


def signing_string(e):
    digest = hashlib.sha256(canonicalize(e["d"]).encode()).hexdigest()
    return "v=1|t={t}|stream_id={stream_id}|sender_id={s}|txn_id={txn_id}|ts={ts}|payload_hash=".format(**e) + digest


def verify(e, keyring):
    if sorted(e) != "d kid s sig stream_id t ts txn_id v".split() or type(e["v"]) is not int or e["v"] != 1:
        return "malformed"
    signed = re.compile(r"[^|=\x00-\x1f\x7f-\x9f]+")
    if not all(isinstance(e[name], str) and signed.fullmatch(e[name]) for name in "t stream_id s txn_id kid sig".split()):
        return "malformed"
    if type(e["ts"]) is not int or e["ts"] < 0:
        return "malformed"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", e["kid"]) or not re.fullmatch(r"[0-9a-f]{64}", e["sig"]):
        return "malformed"
    try:
        secret = (pathlib.Path(keyring) / e["kid"]).read_bytes().removesuffix(b"\n")
    except FileNotFoundError:
        return "unknown_kid"
    expected = hmac.new(secret, signing_string(e).encode(), hashlib.sha256).hexdigest()
    return "ok" if hmac.compare_digest(expected, e["sig"]) else "bad_signature"


if __name__ == "__main__":
    result = verify(json.load(sys.stdin), sys.argv[1])
    print(result)
    sys.exit(result != "ok")
