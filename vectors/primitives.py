"""What docs/PROTOCOL.md cites and Python's library lacks, written from the cited documents.

For checking vectors only: nothing here is fast, and nothing takes the same time for every secret.
"""

import base64
import hashlib
import hmac
import math
import re
import struct


class Invalid(Exception):
    """Bytes that are not what they should be."""


# ------------------------------------------------------------------ hashes


def sha256(data):
    return hashlib.sha256(data).digest()


def double_sha256(data):
    return sha256(sha256(data))


def hash160(data):
    return ripemd160(sha256(data))


def hmac_sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def hkdf_expand(prk, info, length):
    """RFC 5869, section 2.3."""
    okm, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac_sha256(prk, block + info + bytes([counter]))
        okm += block
    return okm[:length]


def tagged_hash(tag, data):
    """BIP340."""
    return sha256(sha256(tag) * 2 + data)


# Not every build of Python's library has RIPEMD-160. Of each of its steps, five rounds of sixteen in two lines:
# the message word and the rotation, in hexadecimal.
RIPEMD_LEFT = (
    "0123456789abcdef 74d1a6f3c0952eb8 3ae49f812706db5c 19ba08c4d37fe562 40597c2ae138b6fd",
    "befc5879bdef6798 768db97f7cf9b7dc bd67e9dfe8d65c75 bcefef989e56865c 9f5b68dc5cdeb856",
)
RIPEMD_RIGHT = (
    "5e7092b4d6f81a3c 6b370d5aef8c4912 f5137e69b8c2a04d 86413bf05c2d97ae cfa4158762de039b",
    "899bdff5778beec6 9df7c89b77c76fdb 97fb866ecd5edd75 f58bee6e69c9c5f8 85c9c5e68d65fdbb",
)
RIPEMD_ROUNDS = [
    lambda x, y, z: x ^ y ^ z,
    lambda x, y, z: (x & y) | (~x & z),
    lambda x, y, z: (x | ~y) ^ z,
    lambda x, y, z: (x & z) | (y & ~z),
    lambda x, y, z: x ^ (y | ~z),
]
RIPEMD_ADDED_LEFT = [0, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E]
RIPEMD_ADDED_RIGHT = [0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0]


def ripemd160(data):
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack("<Q", 8 * len(data))
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0]
    for at in range(0, len(padded), 64):
        words = struct.unpack("<16I", padded[at : at + 64])
        left = ripemd_line(state, words, RIPEMD_LEFT, RIPEMD_ROUNDS, RIPEMD_ADDED_LEFT)
        right = ripemd_line(state, words, RIPEMD_RIGHT, RIPEMD_ROUNDS[::-1], RIPEMD_ADDED_RIGHT)
        state = [
            (state[(i + 1) % 5] + left[(i + 2) % 5] + right[(i + 3) % 5]) & 0xFFFFFFFF for i in range(5)
        ]
    return struct.pack("<5I", *state)


def ripemd_line(state, words, table, rounds, added):
    places, rotations = ([int(digit, 16) for digit in row.replace(" ", "")] for row in table)
    a, b, c, d, e = state
    for step in range(80):
        mixed = (rounds[step // 16](b, c, d) & 0xFFFFFFFF) + words[places[step]] + added[step // 16]
        a, b, c, d, e = e, (rotated(a + mixed, rotations[step]) + e) & 0xFFFFFFFF, b, rotated(c, 10), d
    return a, b, c, d, e


def rotated(word, count):
    word &= 0xFFFFFFFF
    return (word << count | word >> (32 - count)) & 0xFFFFFFFF


# ------------------------------------------------------------------ secp256k1

P = 2**256 - 2**32 - 977
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def point_add(a, b):
    """Affine; None is the point at infinity."""
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    if a == b:
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def point_mul(scalar, point):
    product = None
    while scalar:
        if scalar & 1:
            product = point_add(product, point)
        point = point_add(point, point)
        scalar >>= 1
    return product


def lift_x(x, odd):
    """The point of this x whose y is odd, or even."""
    square = (pow(x, 3, P) + 7) % P
    y = pow(square, (P + 1) // 4, P)
    if x >= P or y * y % P != square:
        raise Invalid
    return x, y if y % 2 == odd else P - y


def parse_key(data):
    """A compressed public key."""
    if len(data) != 33 or data[0] not in (2, 3):
        raise Invalid
    return lift_x(int.from_bytes(data[1:], "big"), data[0] % 2)


def public_key(secret):
    """Compressed."""
    x, y = point_mul(int.from_bytes(secret, "big"), G)
    return bytes([2 + y % 2]) + x.to_bytes(32, "big")


def taproot_key(internal, *leaves):
    """BIP341: the output key of two leaves under an internal key."""
    hashes = sorted(tagged_hash(b"TapLeaf", b"\xc0" + compact_size(len(leaf)) + leaf) for leaf in leaves)
    root = tagged_hash(b"TapBranch", b"".join(hashes))
    tweak = int.from_bytes(tagged_hash(b"TapTweak", internal + root), "big")
    x, _ = point_add(lift_x(int.from_bytes(internal, "big"), 0), point_mul(tweak, G))
    return x.to_bytes(32, "big")


def compact_size(number):
    return number.to_bytes(1, "big") if number < 253 else b"\xfd" + number.to_bytes(2, "little")


def ecdsa_verify(key, digest, r, s):
    """FIPS 186-5; `key` is compressed."""
    if not (0 < r < ORDER and 0 < s < ORDER):
        return False
    inverse = pow(s, -1, ORDER)
    scalars = int.from_bytes(digest, "big") * inverse % ORDER, r * inverse % ORDER
    point = point_add(point_mul(scalars[0], G), point_mul(scalars[1], parse_key(key)))
    return point is not None and point[0] % ORDER == r


def parse_der(data):
    """r and s of a strictly encoded signature (BIP66) with low s (BIP146)."""
    match = re.fullmatch(b"\x30(.)(\x02.*)", data, re.DOTALL)
    if not match or match[1][0] != len(match[2]):
        raise Invalid
    r, rest = parse_der_integer(match[2])
    s, rest = parse_der_integer(rest)
    if rest or s > ORDER // 2:
        raise Invalid
    return r, s


def parse_der_integer(data):
    if len(data) < 3 or data[0] != 2 or not 0 < data[1] <= min(33, len(data) - 2):
        raise Invalid
    digits, rest = data[2 : 2 + data[1]], data[2 + data[1] :]
    needless_zero = len(digits) > 1 and digits[0] == 0 and digits[1] < 0x80
    if digits[0] >= 0x80 or needless_zero:
        raise Invalid
    return int.from_bytes(digits, "big"), rest


def schnorr_sign(secret, digest, aux=bytes(32)):
    """BIP340."""
    scalar = int.from_bytes(secret, "big")
    x, y = point_mul(scalar, G)
    scalar = scalar if y % 2 == 0 else ORDER - scalar
    key = x.to_bytes(32, "big")
    masked = scalar ^ int.from_bytes(tagged_hash(b"BIP0340/aux", aux), "big")
    nonce_hash = tagged_hash(b"BIP0340/nonce", masked.to_bytes(32, "big") + key + digest)
    nonce = int.from_bytes(nonce_hash, "big") % ORDER
    x, y = point_mul(nonce, G)
    nonce = nonce if y % 2 == 0 else ORDER - nonce
    r = x.to_bytes(32, "big")
    s = (nonce + schnorr_challenge(r, key, digest) * scalar) % ORDER
    return r + s.to_bytes(32, "big")


def schnorr_verify(key, digest, signature):
    """BIP340; `key` is the x coordinate."""
    r, s = signature[:32], int.from_bytes(signature[32:], "big")
    challenge = schnorr_challenge(r, key, digest)
    point = lift_x(int.from_bytes(key, "big"), 0)
    found = point_add(point_mul(s, G), point_mul(ORDER - challenge, point))
    in_range = s < ORDER and int.from_bytes(r, "big") < P
    return in_range and found is not None and found[1] % 2 == 0 and found[0].to_bytes(32, "big") == r


def schnorr_challenge(r, key, digest):
    return int.from_bytes(tagged_hash(b"BIP0340/challenge", r + key + digest), "big") % ORDER


def bip32_derive(seed, path):
    """The private key at a path of (index, whether hardened)."""
    node = hmac.new(b"Bitcoin seed", seed, hashlib.sha512).digest()
    key, chain_code = node[:32], node[32:]
    for index, hardened in path:
        data = b"\0" + key if hardened else public_key(key)
        data += (index + 2**31 * hardened).to_bytes(4, "big")
        node = hmac.new(chain_code, data, hashlib.sha512).digest()
        child = (int.from_bytes(node[:32], "big") + int.from_bytes(key, "big")) % ORDER
        key, chain_code = child.to_bytes(32, "big"), node[32:]
    return key


# ------------------------------------------------------------------ X25519 (RFC 7748)

FIELD_25519 = 2**255 - 19


def decode_u(data):
    return int.from_bytes(data, "little") % 2**255 % FIELD_25519


def x25519(secret, u=(9).to_bytes(32, "little")):
    scalar = int.from_bytes(secret, "little") & (2**254 - 8) | 2**254
    x1, x2, z2, x3, z3 = decode_u(u), 1, 0, decode_u(u), 1
    for bit in range(254, -1, -1):
        swapped = scalar >> bit & 1
        if swapped:
            x2, z2, x3, z3 = x3, z3, x2, z2
        x2, z2, x3, z3 = ladder_step(x1, x2, z2, x3, z3)
        if swapped:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, FIELD_25519 - 2, FIELD_25519) % FIELD_25519).to_bytes(32, "little")


def ladder_step(x1, x2, z2, x3, z3):
    p = FIELD_25519
    aa, bb = (x2 + z2) ** 2 % p, (x2 - z2) ** 2 % p
    da, cb = (x3 - z3) * (x2 + z2) % p, (x3 + z3) * (x2 - z2) % p
    e = (aa - bb) % p
    return aa * bb % p, e * (aa + 121665 * e) % p, (da + cb) ** 2 % p, x1 * (da - cb) ** 2 % p


# ------------------------------------------------------------------ ChaCha20/Poly1305 (RFC 8439)


def chacha20_block(key, counter, nonce):
    initial = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce)
    state = list(initial)
    columns = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
    diagonals = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for _ in range(10):
        for places in columns + diagonals:
            quarter_round(state, *places)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, initial)))


def quarter_round(state, a, b, c, d):
    for low, high, other, count in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]:
        state[low] = (state[low] + state[high]) & 0xFFFFFFFF
        state[other] = rotated(state[other] ^ state[low], count)


def chacha20(key, nonce, data):
    blocks = (chacha20_block(key, 1 + at // 64, nonce) for at in range(0, len(data), 64))
    return bytes(a ^ b for a, b in zip(data, b"".join(blocks)))


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at : at + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def aead_tag(key, nonce, ciphertext, aad):
    padded = b"".join(part + bytes(-len(part) % 16) for part in (aad, ciphertext))
    lengths = struct.pack("<QQ", len(aad), len(ciphertext))
    return poly1305(chacha20_block(key, 0, nonce)[:32], padded + lengths)


def aead_encrypt(key, nonce, plaintext, aad):
    ciphertext = chacha20(key, nonce, plaintext)
    return ciphertext + aead_tag(key, nonce, ciphertext, aad)


def aead_decrypt(key, nonce, sealed, aad):
    ciphertext, tag = sealed[:-16], sealed[-16:]
    if tag != aead_tag(key, nonce, ciphertext, aad):
        raise Invalid
    return chacha20(key, nonce, ciphertext)


# ------------------------------------------------------------------ HPKE (RFC 9180), base mode, one message

KEM_SUITE = b"KEM" + bytes([0x00, 0x20])
HPKE_SUITE = b"HPKE" + bytes([0x00, 0x20, 0x00, 0x01, 0x00, 0x03])


def labeled_extract(suite, salt, label, ikm):
    return hmac_sha256(salt or bytes(32), b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite, prk, label, info, length):
    return hkdf_expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def hpke_keys(dh, enc, public, info):
    prk = labeled_extract(KEM_SUITE, b"", b"eae_prk", dh)
    shared = labeled_expand(KEM_SUITE, prk, b"shared_secret", enc + public, 32)
    context = b"\x00" + b"".join(
        labeled_extract(HPKE_SUITE, b"", label, ikm) for label, ikm in [(b"psk_id_hash", b""), (b"info_hash", info)]
    )
    secret = labeled_extract(HPKE_SUITE, shared, b"secret", b"")
    return (labeled_expand(HPKE_SUITE, secret, label, context, n) for label, n in [(b"key", 32), (b"base_nonce", 12)])


def hpke_seal(public, info, aad, plaintext, ikm):
    """`ikm` is what GenerateKeyPair would draw."""
    ephemeral = labeled_expand(KEM_SUITE, labeled_extract(KEM_SUITE, b"", b"dkp_prk", ikm), b"sk", b"", 32)
    enc = x25519(ephemeral)
    key, nonce = hpke_keys(x25519(ephemeral, public), enc, public, info)
    return enc + aead_encrypt(key, nonce, plaintext, aad)


def hpke_open(secret, info, aad, sealed):
    enc, ciphertext = sealed[:32], sealed[32:]
    key, nonce = hpke_keys(x25519(secret, enc), enc, x25519(secret), info)
    return aead_decrypt(key, nonce, ciphertext, aad)


# ------------------------------------------------------------------ text


def base64url_encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def base64url_decode(text):
    """Without padding, and in the one form that the bytes have."""
    if not re.fullmatch("[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise Invalid
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url_encode(data) != text:
        raise Invalid
    return data


BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def p2wpkh_address(prefix, key):
    return segwit_address(prefix, hash160(key))


def segwit_address(prefix, program):
    """BIP173, witness version 0."""
    missing = -8 * len(program) % 5
    width = 8 * len(program) + missing
    bits = int.from_bytes(program, "big") << missing
    values = [0] + [bits >> shift & 31 for shift in range(width - 5, -1, -5)]
    expanded = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    checksum = bech32_polymod(expanded + values + [0] * 6) ^ 1
    values += [checksum >> shift & 31 for shift in range(25, -1, -5)]
    return f"{prefix}1" + "".join(BECH32[value] for value in values)


def bech32_polymod(values):
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum


# ------------------------------------------------------------------ finite-field Diffie-Hellman (RFC 7919)

FFDHE_OFFSETS = {2048: 560316, 3072: 2625351, 4096: 5736041}


def ffdhe_prime(bits):
    """RFC 7919, appendix A: 2^b - 2^(b-64) + (floor(2^(b-130) e) + X) 2^64 - 1."""
    guard = 64
    term, e, k = 1 << (bits - 130 + guard), 0, 0
    while term:
        e, k = e + term, k + 1
        term //= k
    return (1 << bits) - (1 << (bits - 64)) + (((e >> guard) + FFDHE_OFFSETS[bits]) << 64) - 1


def ffdhe(bits, secret, base=2):
    """base^secret modulo the group's prime, as long as the prime."""
    return pow(base, int.from_bytes(secret, "big"), ffdhe_prime(bits)).to_bytes(bits // 8, "big")


# ------------------------------------------------------------------ primes


def jacobi(a, n):
    """The Jacobi symbol of a over an odd n."""
    a, symbol = a % n, 1
    while a:
        while a % 2 == 0:
            a //= 2
            symbol = -symbol if n % 8 in (3, 5) else symbol
        symbol = -symbol if a % 4 == 3 and n % 4 == 3 else symbol
        a, n = n % a, a
    return symbol if n == 1 else 0


def is_strong_probable_prime(n, base):
    """Miller and Rabin's test of an odd n above 3."""
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    x = pow(base, d, n)
    if x in (1, n - 1):
        return True
    for _ in range(s - 1):
        x = x * x % n
        if x == n - 1:
            return True
    return False


def is_strong_lucas_probable_prime(n):
    """Selfridge's parameters: the first D of 5, -7, 9, -11, ... with (D/n) = -1, P = 1, Q = (1 - D)/4."""
    if math.isqrt(n) ** 2 == n:
        return False
    d = 5
    while jacobi(d, n) != -1:
        if jacobi(d, n) == 0 and abs(d) % n:
            return False
        d = -d - 2 if d > 0 else -d + 2
    p, q = 1, (1 - d) // 4
    rest, s = n + 1, 0
    while rest % 2 == 0:
        rest, s = rest // 2, s + 1
    u, v, q_power = 1, p, q % n
    for bit in bin(rest)[3:]:
        u, v, q_power = u * v % n, (v * v - 2 * q_power) % n, q_power * q_power % n
        if bit == "1":
            u, v = p * u + v, d * u + p * v
            u, v = ((x + n * (x % 2)) // 2 % n for x in (u, v))
            q_power = q_power * q % n
    if u == 0 or v == 0:
        return True
    for _ in range(s - 1):
        v, q_power = (v * v - 2 * q_power) % n, q_power * q_power % n
        if v == 0:
            return True
    return False
