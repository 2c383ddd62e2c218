"""ML-KEM-768 (FIPS 203) and X-Wing (draft-connolly-cfrg-xwing-kem); slow, and not constant in time."""

from hashlib import sha3_256, sha3_512, shake_128, shake_256

from primitives import Invalid, x25519

N, Q, K, ETA, DU, DV = 256, 3329, 3, 2, 10, 4
KEY_LEN, CIPHERTEXT_LEN = 384 * K + 32, 32 * (DU * K + DV)
ZETAS = [pow(17, int(f"{index:07b}"[::-1], 2), Q) for index in range(128)]
GAMMAS = [pow(17, 2 * int(f"{index:07b}"[::-1], 2) + 1, Q) for index in range(128)]


# ------------------------------------------------------------------ polynomials


def ntt(f):
    f, at, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            for j in range(start, start + length):
                t = ZETAS[at] * f[j + length]
                f[j], f[j + length] = (f[j] + t) % Q, (f[j] - t) % Q
            at += 1
        length //= 2
    return f


def ntt_inverse(f):
    f, at, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, ZETAS[at] * (f[j + length] - t) % Q
            at -= 1
        length *= 2
    return [x * 3303 % Q for x in f]


def multiply(f, g):
    """In the transformed domain."""
    pairs = ((f[i], f[i + 1], g[i], g[i + 1], GAMMAS[i // 2]) for i in range(0, N, 2))
    return [x % Q for a, b, c, d, gamma in pairs for x in (a * c + b * d * gamma, a * d + b * c)]


def add(*polynomials):
    return [sum(column) % Q for column in zip(*polynomials)]


def dot(row, column):
    return add(*(multiply(f, g) for f, g in zip(row, column)))


# ------------------------------------------------------------------ sampling


def uniform(seed, j, i):
    stream = shake_128(seed + bytes([j, i])).digest(3 * N * 2)
    numbers = []
    for a, b, c in zip(*[iter(stream)] * 3):
        numbers += [x for x in (a + 256 * (b % 16), b // 16 + 16 * c) if x < Q]
    return numbers[:N]


def binomial(seed, nonce):
    bits = int.from_bytes(shake_256(seed + bytes([nonce])).digest(64 * ETA), "little")
    quads = (bits >> 4 * i & 15 for i in range(N))
    return [((q & 1) + (q >> 1 & 1) - (q >> 2 & 1) - (q >> 3)) % Q for q in quads]


def matrix(rho):
    return [[uniform(rho, j, i) for j in range(K)] for i in range(K)]


# ------------------------------------------------------------------ bytes


def encode(polynomial, bits):
    number = sum(x << bits * i for i, x in enumerate(polynomial))
    return number.to_bytes(N * bits // 8, "little")


def decode(data, bits):
    number = int.from_bytes(data, "little")
    return [number >> bits * i & (1 << bits) - 1 for i in range(N)]


def compress(polynomial, bits):
    return [((x << bits) + Q // 2) // Q % (1 << bits) for x in polynomial]


def decompress(polynomial, bits):
    return [(x * Q + (1 << bits - 1)) >> bits for x in polynomial]


def parts(data, bits, count):
    size = N * bits // 8
    return [decode(data[size * i : size * (i + 1)], bits) for i in range(count)]


# ------------------------------------------------------------------ ML-KEM


def hash_g(data):
    digest = sha3_512(data).digest()
    return digest[:32], digest[32:]


def key_pair(d):
    """The transformed secret vector and the encapsulation key."""
    rho, sigma = hash_g(d + bytes([K]))
    s = [ntt(binomial(sigma, i)) for i in range(K)]
    e = [ntt(binomial(sigma, K + i)) for i in range(K)]
    t = [add(dot(row, s), error) for row, error in zip(matrix(rho), e)]
    return s, b"".join(encode(f, 12) for f in t) + rho


def encrypt(key, message, r):
    t, a = parts(key, 12, K), matrix(key[-32:])
    y = [ntt(binomial(r, i)) for i in range(K)]
    e1 = [binomial(r, K + i) for i in range(K)]
    u = [add(ntt_inverse(dot(column, y)), error) for column, error in zip(zip(*a), e1)]
    v = add(ntt_inverse(dot(t, y)), binomial(r, 2 * K), decompress(decode(message, 1), 1))
    return b"".join(encode(compress(f, DU), DU) for f in u) + encode(compress(v, DV), DV)


def decrypt(s, ciphertext):
    u = [ntt(decompress(f, DU)) for f in parts(ciphertext, DU, K)]
    v = decompress(decode(ciphertext[32 * DU * K :], DV), DV)
    w = [(x - y) % Q for x, y in zip(v, ntt_inverse(dot(s, u)))]
    return encode(compress(w, 1), 1)


def encapsulate(key, message):
    if any(x >= Q for f in parts(key, 12, K) for x in f):
        raise Invalid("a number of the key is not below the modulus")
    shared, r = hash_g(message + sha3_256(key).digest())
    return encrypt(key, message, r), shared


def decapsulate(seed, ciphertext):
    s, key = key_pair(seed[:32])
    message = decrypt(s, ciphertext)
    shared, r = hash_g(message + sha3_256(key).digest())
    if encrypt(key, message, r) == ciphertext:
        return shared
    return shake_256(seed[32:] + ciphertext).digest(32)


# ------------------------------------------------------------------ X-Wing


def xwing_expand(secret):
    expanded = shake_256(secret).digest(96)
    return expanded[:64], expanded[64:]


def xwing_public(secret):
    seed, scalar = xwing_expand(secret)
    return key_pair(seed[:32])[1] + x25519(scalar)


def xwing_combine(shared_m, shared_x, ciphertext_x, public_x):
    return sha3_256(shared_m + shared_x + ciphertext_x + public_x + rb"\.//^" + b"\\").digest()


def xwing_encapsulate(public, randomness):
    """Ciphertext, shared secret, and the X25519 part of the latter."""
    ciphertext_m, shared_m = encapsulate(public[:KEY_LEN], randomness[:32])
    ciphertext_x, shared_x = x25519(randomness[32:]), x25519(randomness[32:], public[KEY_LEN:])
    shared = xwing_combine(shared_m, shared_x, ciphertext_x, public[KEY_LEN:])
    return ciphertext_m + ciphertext_x, shared, shared_x


def xwing_decapsulate(secret, ciphertext):
    """Shared secret, and its X25519 part."""
    seed, scalar = xwing_expand(secret)
    shared_m = decapsulate(seed, ciphertext[:CIPHERTEXT_LEN])
    ciphertext_x = ciphertext[CIPHERTEXT_LEN:]
    shared_x = x25519(scalar, ciphertext_x)
    return xwing_combine(shared_m, shared_x, ciphertext_x, x25519(scalar)), shared_x
