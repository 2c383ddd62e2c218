"""The Keyway protocol once more, written from docs/PROTOCOL.md alone; its section numbers head each part."""

import functools
import hashlib
import struct
from collections import namedtuple

import mlkem
import primitives
from primitives import Invalid, hkdf_expand, hmac_sha256, sha256


class Refused(Exception):
    """What the document refuses, with the name that vectors/README.md gives the reason."""


# ------------------------------------------------------------------ 2. Conventions


def u8(number):
    return number.to_bytes(1, "big")


def u16(number):
    return number.to_bytes(2, "big")


def u32(number):
    return number.to_bytes(4, "big")


def u64(number):
    return number.to_bytes(8, "big")


def prefixed(label, parts):
    return b"".join(u32(len(part)) + part for part in [b"keyway/1 " + label.encode(), *parts])


def H(label, *parts):
    return sha256(prefixed(label, parts))


def expand(key, label, *parts, length=32):
    return hkdf_expand(key, prefixed(label, parts), length)


def extract(salt, ikm):
    return hmac_sha256(salt, ikm)


Chain = namedtuple("Chain", "genesis floor coin_type prefix")
BITCOIN_TESTS = (1000, 1, "tb")
CHAINS = {
    "bitcoin": Chain("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", 1000, 0, "bc"),
    "testnet4": Chain("00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043", 1000, 1, "tb"),
    "signet": Chain("00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6", 1000, 1, "tb"),
    "regtest": Chain("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206", 1000, 1, "bcrt"),
    "litecoin": Chain("12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2", 6000, 2, "ltc"),
    "litecoin-testnet": Chain(
        "4966625a4b2851d9fdee139e56211a0d88575f59ed816ff5e6a63deb4e3e29a0", 6000, 1, "tltc"
    ),
    "litecoin-regtest": Chain(
        "530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9", 6000, 1, "rltc"
    ),
}


def chain_id(name, challenge=None):
    """2.1"""
    genesis = bytes.fromhex(CHAINS[name].genesis)[::-1]
    return genesis if challenge is None else sha256(b"keyway/1 signet" + genesis + challenge)


# ------------------------------------------------------------------ 3. Identity


def bip39_seed(mnemonic):
    return hashlib.pbkdf2_hmac("sha512", mnemonic.encode(), b"mnemonic", 2048)


class Seed:
    """3.1"""

    def __init__(self, mnemonic, chain, challenge=None):
        self.chain_id = chain_id(chain, challenge)
        self.bip32_seed = bip39_seed(mnemonic)
        coin = CHAINS[chain].coin_type
        identity_path = [(84, True), (coin, True), (0, True), (0, False), (0, False)]
        self.identity_secret = primitives.bip32_derive(self.bip32_seed, identity_path)
        self.identity_key = primitives.public_key(self.identity_secret)
        self.k = primitives.bip32_derive(self.bip32_seed, [(27511, True), (coin, True), (0, True)])
        self.root = extract(b"keyway/1 root", self.k)
        self.sealing_secret = expand(self.root, "sealing key", self.chain_id)
        self.sealing_key = primitives.x25519(self.sealing_secret)
        self.s = expand(self.root, "negotiation chain", self.chain_id)
        self.p = expand(self.root, "prekey chain", self.chain_id)

    def negotiation(self, index):
        """s(i) and n(i) of 3.2."""
        s = self.s
        for _ in range(index):
            s = expand(s, "next")
        return s, expand(s, "negotiation")

    def prekeys(self, index):
        """q(j) of 3.3."""
        p = self.p
        for _ in range(index):
            p = expand(p, "next prekeys")
        return expand(p, "prekeys")


def p2wpkh(key):
    return b"\x00\x14" + primitives.hash160(key)


def derive(n, purpose, negotiation_id, anchor, recipient, aad=b"", plaintext=b"", length=32):
    """3.2"""
    parts = purpose.encode(), negotiation_id, anchor, recipient, aad, sha256(plaintext)
    return expand(n, "derive", *parts, length=length)


# ------------------------------------------------------------------ 4. Cards

CARD_PREFIX = "keyway-card:"
Card = namedtuple("Card", "name chain_id identity_key sealing_key serial expiry suites carriers prekeys")


def permanent_bytes(card):
    name = card.name.encode()
    return u8(len(name)) + name + card.chain_id + card.identity_key + card.sealing_key


def renewable_bytes(card):
    lists = b"".join(u8(len(numbers)) + bytes(numbers) for numbers in (card.suites, card.carriers))
    prekeys = b"".join(u8(suite) + u32(last) + u16(len(key)) + key for suite, last, key in card.prekeys)
    return u32(card.serial) + u32(card.expiry) + lists + u8(len(card.prekeys)) + prekeys


def permanent_digest(card):
    return H("card permanent", b"\x01" + permanent_bytes(card))


def renewable_digest(card):
    return H("card renewable", permanent_digest(card), renewable_bytes(card))


def card_text(card, secret):
    first = primitives.schnorr_sign(secret, permanent_digest(card))
    second = primitives.schnorr_sign(secret, renewable_digest(card))
    data = b"\x01" + permanent_bytes(card) + first + renewable_bytes(card) + second
    return CARD_PREFIX + primitives.base64url_encode(data + sha256(data)[:4])


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, length):
        if length > len(self.data):
            raise Refused("CutShort")
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def number(self, length):
        return int.from_bytes(self.take(length), "big")

    def count(self):
        count = self.number(1)
        if count > 16:
            raise Refused("TooManyEntries")
        return count


def text_bytes(text, prefix):
    text = text.strip()
    if not text.startswith(prefix):
        raise Refused("Prefix")
    try:
        return primitives.base64url_decode(text[len(prefix) :])
    except Invalid:
        raise Refused("Alphabet") from None


def without_checksum(data):
    if sha256(data[:-4])[:4] != data[-4:]:
        raise Refused("Checksum")
    return data[:-4]


def read_card(text):
    data = text_bytes(text, CARD_PREFIX)
    if len(data) > 65536 + 4:
        raise Refused("TooLong")
    if len(data) < 4:
        raise Refused("CutShort")
    reader = Reader(without_checksum(data))
    if reader.number(1) != 1:
        raise Refused("UnknownVersion")
    permanent = read_permanent(reader)
    first = reader.take(64)
    card = Card(*permanent, *read_renewable(reader))
    second = reader.take(64)
    if reader.data:
        raise Refused("TrailingBytes")
    verify_card(card, first, second)
    return card


def read_permanent(reader):
    name = reader.take(reader.number(1))
    characters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
    if not 1 <= len(name) <= 32 or set(name) - set(characters) or name[0] in b"._-":
        raise Refused("BadName")
    genesis, key = reader.take(32), reader.take(33)
    try:
        primitives.parse_key(key)
    except Invalid:
        raise Refused("BadKey") from None
    return name.decode(), genesis, key, reader.take(32)


def read_renewable(reader):
    serial, expiry = reader.number(4), reader.number(4)
    suites, carriers = (list(reader.take(reader.count())) for _ in range(2))
    prekeys = [
        (reader.number(1), reader.number(4), reader.take(reader.number(2))) for _ in range(reader.count())
    ]
    return serial, expiry, suites, carriers, prekeys


def verify_card(card, first, second):
    key = card.identity_key[1:]
    if not primitives.schnorr_verify(key, permanent_digest(card), first):
        raise Refused("PermanentSignature")
    if not primitives.schnorr_verify(key, renewable_digest(card), second):
        raise Refused("RenewableSignature")


def accept_card(text, reader_chain_id, reader_key, tip, known_texts):
    """4.2"""
    card = read_card(text)
    if card.chain_id != reader_chain_id:
        raise Refused("ForeignChain")
    if card.identity_key == reader_key:
        raise Refused("Own")
    if card.expiry < tip:
        raise Refused("Expired")
    for known_text in known_texts:
        accept_beside(card, text, read_card(known_text), known_text)


def accept_beside(card, text, known, known_text):
    if known.identity_key != card.identity_key:
        if known.name == card.name:
            raise Refused("NameTaken")
        return
    if permanent_bytes(known) != permanent_bytes(card):
        raise Refused("OtherPermanentPart")
    if card.serial < known.serial:
        raise Refused("Older")
    if card.serial == known.serial and text != known_text:
        raise Refused("SameSerial")


INTRODUCTION_PREFIX = "keyway-introduction:"
Introduction = namedtuple("Introduction", "chain_id introducer subject serial expiry")


def introduction_bytes(word):
    """4.3"""
    return b"\x01" + word.chain_id + word.introducer + word.subject + u32(word.serial) + u32(word.expiry)


def introduction_digest(word):
    return H("introduction", introduction_bytes(word))


def introduction_text(word, secret):
    data = introduction_bytes(word) + primitives.schnorr_sign(secret, introduction_digest(word))
    return INTRODUCTION_PREFIX + primitives.base64url_encode(data + sha256(data)[:4])


def read_introduction(text):
    data = text_bytes(text, INTRODUCTION_PREFIX)
    if not 4 <= len(data) <= 170 + 4:
        raise Refused("Length")
    data = without_checksum(data)
    if data[:1] != b"\x01":
        raise Refused("UnknownVersion")
    if len(data) != 170:
        raise Refused("Length")
    reader = Reader(data[1:])
    word = Introduction(reader.take(32), reader.take(33), reader.take(32), reader.number(4), reader.number(4))
    try:
        primitives.parse_key(word.introducer)
    except Invalid:
        raise Refused("BadKey") from None
    if not primitives.schnorr_verify(word.introducer[1:], introduction_digest(word), reader.take(64)):
        raise Refused("Signature")
    return word


def replaces(word, known):
    return (word.serial, known.expiry) > (known.serial, word.expiry)


# ------------------------------------------------------------------ Bitcoin transactions

Input = namedtuple("Input", "outpoint script_sig sequence witness")
Output = namedtuple("Output", "amount script")


class Transaction:
    """BIP144, read to its last byte."""

    def __init__(self, raw):
        self.at, self.raw = 0, raw
        self.version = self.integer(4)
        segwit = raw[4:6] == b"\0\1"
        self.at += 2 * segwit
        inputs = [(self.take(36), self.string(), self.integer(4)) for _ in range(self.compact())]
        self.outputs = [Output(self.integer(8), self.string()) for _ in range(self.compact())]
        witnesses = [[self.string() for _ in range(self.compact())] if segwit else [] for _ in inputs]
        self.inputs = [Input(*fields, witness) for fields, witness in zip(inputs, witnesses)]
        self.lock_time = self.integer(4)
        if self.at != len(raw):
            raise Invalid

    def take(self, length):
        self.at += length
        if self.at > len(self.raw):
            raise Invalid
        return self.raw[self.at - length : self.at]

    def integer(self, length):
        return int.from_bytes(self.take(length), "little")

    def compact(self):
        first = self.integer(1)
        return first if first < 0xFD else self.integer({0xFD: 2, 0xFE: 4, 0xFF: 8}[first])

    def string(self):
        return self.take(self.compact())

    def serialized_outputs(self):
        return b"".join(struct.pack("<Q", amount) + var_string(script) for amount, script in self.outputs)

    def txid(self):
        inputs = b"".join(
            txin.outpoint + var_string(txin.script_sig) + struct.pack("<I", txin.sequence)
            for txin in self.inputs
        )
        outputs = compact_size(len(self.outputs)) + self.serialized_outputs()
        inside = compact_size(len(self.inputs)) + inputs + outputs
        return primitives.double_sha256(
            struct.pack("<I", self.version) + inside + struct.pack("<I", self.lock_time)
        )

    def bip143_digest(self, index, key, amount):
        """SIGHASH_ALL, for a P2WPKH coin of `key`."""
        return self.script_digest(index, b"\x76\xa9\x14" + primitives.hash160(key) + b"\x88\xac", amount)

    def script_digest(self, index, script_code, amount):
        digest = primitives.double_sha256
        own = self.inputs[index]
        sequences = b"".join(struct.pack("<I", txin.sequence) for txin in self.inputs)
        return digest(
            struct.pack("<I", self.version)
            + digest(b"".join(txin.outpoint for txin in self.inputs))
            + digest(sequences)
            + own.outpoint
            + var_string(script_code)
            + struct.pack("<QI", amount, own.sequence)
            + digest(self.serialized_outputs())
            + struct.pack("<II", self.lock_time, 1)
        )


def compact_size(number):
    return u8(number) if number < 0xFD else b"\xfd" + struct.pack("<H", number)


def var_string(data):
    return compact_size(len(data)) + data


def outpoint(txid, index):
    return txid + struct.pack("<I", index)


# ------------------------------------------------------------------ 5. Authorship


def author(tx, amount, index=0):
    """Whom input 0 speaks for; in whole runs the other inputs too are signed in this way."""
    if tx.inputs[index].outpoint == bytes(32) + b"\xff" * 4:
        raise Refused("NoInput")
    if tx.inputs[index].script_sig or len(tx.inputs[index].witness) != 2:
        raise Refused("NotP2wpkh")
    signature, key = tx.inputs[index].witness
    try:
        primitives.parse_key(key)
    except Invalid:
        raise Refused("InvalidKey") from None
    r, s = read_signature(signature)
    if not primitives.ecdsa_verify(key, tx.bip143_digest(index, key, amount), r, s):
        raise Refused("WrongSignature")
    return key


def read_signature(signature):
    if signature[-1:] in (b"\x02", b"\x03", b"\x81", b"\x82", b"\x83"):
        raise Refused("OpenSighash")
    if signature[-1:] != b"\x01":
        raise Refused("MalformedSignature")
    try:
        return primitives.parse_der(signature[:-1])
    except Invalid:
        raise Refused("MalformedSignature") from None


# ------------------------------------------------------------------ 6. Messages

X25519, X25519_MLKEM768 = 1, 2
FFDHE = {3: 2048, 4: 3072, 5: 4096}
SEQUENCES, AMOUNTS = 0, 1
TAG_LEN = 16
SHARE_LENS = {X25519: (32, 32), X25519_MLKEM768: (1216, 1120)}
SHARE_LENS |= {suite: (bits // 8, bits // 8) for suite, bits in FFDHE.items()}


PUBLISHED, CUSTOM = 6, 7
Group = namedtuple("Group", "p g")


def number(data):
    return int.from_bytes(data, "big")


def read_group(p, g):
    """6.1.1: the numbers as they are written."""
    if len(p) > 512:
        raise Refused("TooLarge")
    if p[:1] == b"\0" or g[:1] == b"\0":
        raise Refused("LeadingZeros")
    if number(p).bit_length() < 2048:
        raise Refused("TooSmall")
    if not 1 <= len(g) <= len(p):
        raise Refused("GeneratorOutOfRange")
    return Group(p, g)


def group_digest(group):
    return H("group", group.p, group.g)


@functools.lru_cache
def check_group(group):
    """6.1.1: whether it may be used."""
    p, g = number(group.p), number(group.g)
    if p % 2 == 0:
        raise Refused("Even")
    if not 1 <= g < p:
        raise Refused("GeneratorOutOfRange")
    if g in (1, p - 1):
        raise Refused("GeneratorOfSmallOrder")
    if p % 3 == 0:
        raise Refused("Composite")
    if p % 4 != 3:
        raise Refused("NotSafe")
    if primitives.jacobi(g, p) != 1:
        raise Refused("GeneratorOutsideSubgroup")
    if not primitives.is_strong_probable_prime(p, 2):
        raise Refused("Composite")
    q = (p - 1) // 2
    bases = [2] + [primality_base(group.p, index) % q for index in range(64)]
    if not all(primitives.is_strong_probable_prime(q, base) for base in bases):
        raise Refused("NotSafe")
    if not primitives.is_strong_lucas_probable_prime(q):
        raise Refused("NotSafe")


def primality_base(p, index):
    blocks = b"".join(H("primality base", p, u8(index), u8(part)) for part in range(18))
    return number(blocks[: len(p) + 16])


def group_fields(suite, group, txid):
    """g and p of messageA."""
    if suite == CUSTOM:
        return group.g, group.p
    return b"", txid + group_digest(group)


def published_scripts(group):
    """6.5: the mark, and the data output."""
    return [data_script(b"keyway/1 group"), data_script(u16(len(group.p)) + group.p + group.g)]


def share_in(group, secret):
    return pow(number(group.g), number(secret), number(group.p)).to_bytes(len(group.p), "big")


def agree_in(group, secret, theirs):
    prime, base = number(group.p), number(theirs)
    if not 1 < base < prime - 1:
        raise Refused("SmallOrder")
    if pow(base, (prime - 1) // 2, prime) != 1:
        raise Refused("OutsideSubgroup")
    if theirs == share_in(group, secret):
        raise Refused("Reflected")
    return H("ffdh shared secret", pow(base, number(secret), prime).to_bytes(len(group.p), "big"))


def offer_bytes(form, suite, share):
    return u8(64 * form + suite) + share


def answer_bytes(suite, share, tag):
    return u8(128 + suite) + share + tag


def answer_len(suite):
    return 1 + SHARE_LENS[suite][1] + TAG_LEN


def read_offer(message):
    """Form, suite and share A."""
    suite = check_message(message, lambda head: head < 128, lambda suite: 1 + SHARE_LENS[suite][0])
    return message[0] // 64, suite, message[1:]


def read_answer(message):
    """Suite, share B and the tag."""
    suite = check_message(message, lambda head: 128 <= head < 192, answer_len)
    return suite, message[1:-TAG_LEN], message[-TAG_LEN:]


def check_message(message, is_head, length):
    if not message:
        raise Refused("Empty")
    if not is_head(message[0]):
        raise Refused("Kind")
    suite = message[0] % 64
    if suite not in SHARE_LENS:
        raise Refused("UnknownSuite")
    if len(message) != length(suite):
        raise Refused("Length")
    return suite


def initiator_secret(suite, n, negotiation_id, recipient):
    if suite in FFDHE or suite in (PUBLISHED, CUSTOM):
        return derive(n, "ffdh share", negotiation_id, b"", recipient, length=64)
    purpose = {X25519: "x25519 share", X25519_MLKEM768: "x-wing share"}[suite]
    return derive(n, purpose, negotiation_id, b"", recipient)


def share_a(suite, secret):
    if suite in FFDHE:
        return primitives.ffdhe(FFDHE[suite], secret)
    return primitives.x25519(secret) if suite == X25519 else mlkem.xwing_public(secret)


def respond(suite, n, negotiation_id, anchor, recipient, theirs):
    """The secret or the randomness, share B and the shared secret."""
    if suite == X25519:
        secret = derive(n, "x25519 share", negotiation_id, anchor, recipient)
        return secret, primitives.x25519(secret), agree_x25519(secret, theirs)
    if suite in FFDHE:
        secret = derive(n, "ffdh share", negotiation_id, anchor, recipient, length=64)
        return secret, share_a(suite, secret), agree_ffdhe(FFDHE[suite], secret, theirs)
    purpose = "x-wing encapsulation"
    randomness = derive(n, purpose, negotiation_id, anchor, recipient, aad=theirs, length=64)
    if primitives.x25519(randomness[32:], theirs[-32:]) == bytes(32):
        raise Refused("SmallOrder")
    try:
        share, shared, _ = mlkem.xwing_encapsulate(theirs, randomness)
    except Invalid:
        raise Refused("NoKey") from None
    return randomness, share, shared


def agree(suite, secret, theirs):
    """The initiator's shared secret."""
    if suite == X25519:
        return agree_x25519(secret, theirs)
    if suite in FFDHE:
        return agree_ffdhe(FFDHE[suite], secret, theirs)
    shared, shared_x = mlkem.xwing_decapsulate(secret, theirs)
    return not_of_small_order(shared_x) and shared


def agree_x25519(secret, theirs):
    own = primitives.x25519(secret)
    if primitives.decode_u(own) == primitives.decode_u(theirs):
        raise Refused("Reflected")
    return not_of_small_order(primitives.x25519(secret, theirs))


def agree_ffdhe(bits, secret, theirs):
    prime, number = primitives.ffdhe_prime(bits), int.from_bytes(theirs, "big")
    if not 1 < number < prime - 1:
        raise Refused("SmallOrder")
    if pow(number, (prime - 1) // 2, prime) != 1:
        raise Refused("OutsideSubgroup")
    if theirs == primitives.ffdhe(bits, secret):
        raise Refused("Reflected")
    return H("ffdh shared secret", primitives.ffdhe(bits, secret, number))


def not_of_small_order(shared):
    if shared == bytes(32):
        raise Refused("SmallOrder")
    return shared


# ------------------------------------------------------------------ 7. Carriers

VALUE = 1
UNUSED = 0xFFFFFFFD
Binding = namedtuple("Binding", "chain input0 author recipient")
Run = namedtuple("Run", "message c first amounts")


def groups(data, width):
    """A byte string as groups of bits."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % width)
    return [int(bits[at : at + width], 2) for at in range(0, len(bits), width)]


def join(numbers, width, length):
    bits = "".join(f"{number:0{width}b}" for number in numbers)
    if int(bits[8 * length :] or "0", 2):
        raise Refused("Padding")
    return int(bits[: 8 * length], 2).to_bytes(length, "big")


def data_outputs(length, c):
    return -(-8 * (length + 5) // c)


def worst_case(chain, length, c):
    k = data_outputs(length, c)
    return (k + 2) * CHAINS[chain].floor + 32 * length + c + k * (2**c - 1)


def least_price(chain, length):
    return min(worst_case(chain, length, c) for c in range(1, 31))


def largest_c(chain, length, price):
    fitting = [c for c in range(1, 31) if worst_case(chain, length, c) <= price]
    return max(fitting, default=None)


def value_checksum(binding, message):
    chain, input0, author_key, recipient = binding
    return H("value checksum", chain_id(chain), input0, author_key, recipient, message)[:5]


def run_amounts(binding, message, price, c):
    """7.1"""
    floor = CHAINS[binding.chain].floor
    numbers = [32 * len(message) + c] + groups(message + value_checksum(binding, message), c)
    amounts = [floor + number for number in numbers]
    return amounts + [price - sum(amounts)]


def read_run(tx, chain, author_key, recipient):
    """A run; None where the outputs to the recipient do not even look like one."""
    own = [index for index, output in enumerate(tx.outputs) if output.script == p2wpkh(recipient)]
    # One byte at c = 30 takes four outputs, and no run has fewer.
    if len(own) < 4:
        return None
    amounts = [tx.outputs[index].amount for index in own]
    floor = CHAINS[chain].floor
    length, c = divmod(amounts[0] - floor, 32)
    if not (1 <= c <= 30 and 1 <= length <= 4095):
        return None
    if len(own) != data_outputs(length, c) + 2:
        raise Refused("Count")
    if own[-1] - own[0] != len(own) - 1:
        raise Refused("Interrupted")
    data = [amount - floor for amount in amounts[1:-1]]
    if any(not 0 <= number < 2**c for number in data) or amounts[-1] < floor:
        raise Refused("OutOfRange")
    joined = join(data, c, length + 5)
    message, checksum = joined[:length], joined[length:]
    if checksum != value_checksum(Binding(chain, tx.inputs[0].outpoint, author_key, recipient), message):
        raise Refused("Checksum")
    return Run(message, c, own[0], amounts)


def sequence_numbers(message, run_outputs):
    """7.2"""
    carrying = [2**31 + group for group in groups(message, 31)]
    return carrying + [UNUSED] * (run_outputs - len(carrying))


def check_collecting(tx, run):
    if tx.version != 2:
        raise Refused("Version")
    if len(tx.inputs) < len(run):
        raise Refused("InputsMissing")
    if [txin.outpoint for txin in tx.inputs[: len(run)]] != run:
        raise Refused("WrongInput")


def read_in_sequences(tx, run, length):
    """7.2"""
    check_collecting(tx, run)
    numbers = [txin.sequence for txin in tx.inputs]
    carrying = -(-8 * length // 31)
    if len(run) < carrying:
        raise Refused("RunTooShort")
    if any(number != UNUSED for number in numbers[carrying:]):
        raise Refused("Unused")
    if any(number < 2**31 for number in numbers[:carrying]):
        raise Refused("NoData")
    return join([number - 2**31 for number in numbers[:carrying]], 31, length)


def read_in_amounts(tx, run, length, chain, responder, initiator):
    """7.3"""
    check_collecting(tx, run)
    if any(txin.sequence != UNUSED for txin in tx.inputs):
        raise Refused("Sequence")
    back = read_run(tx, chain, responder, initiator)
    if back is None:
        raise Refused("NoRun")
    if len(back.message) != length:
        raise Refused("Length")
    if sum(back.amounts) != least_price(chain, length):
        raise Refused("Price")
    return back


# ------------------------------------------------------------------ 8. and 9.1. Transcript, keys, ids

Parties = namedtuple(
    "Parties", "chain_id carrier initiator_key responder_key initiator_digest responder_digest input0"
)


def negotiation_id(parties):
    return H("negotiation", parties.chain_id, parties.initiator_key, parties.responder_key, parties.input0)


def transcript(parties, offer_txid, offer, answer_without_tag, suite=None):
    return H(
        "transcript",
        parties.chain_id,
        suite or u8(offer[0] % 64),
        u8(parties.carrier),
        parties.initiator_key,
        parties.responder_key,
        parties.initiator_digest,
        parties.responder_digest,
        offer_txid,
        parties.input0,
        offer,
        answer_without_tag,
    )


class Keys:
    """8"""

    def __init__(self, th, shared):
        self.transcript = th
        self.prk = extract(th, shared)
        self.master_key = expand(self.prk, "master key")
        self.exporter_key = expand(self.prk, "exporter")
        self.initiator_tag_key = expand(self.prk, "confirm initiator")
        self.responder_tag_key = expand(self.prk, "confirm responder")
        self.fingerprint = expand(self.prk, "fingerprint", length=8)
        self.initiator_tag = hmac_sha256(self.initiator_tag_key, th)[:16]
        self.responder_tag = hmac_sha256(self.responder_tag_key, th)[:16]


def make_offer(parties, form, suite, n):
    secret = initiator_secret(suite, n, negotiation_id(parties), parties.responder_key)
    return offer_bytes(form, suite, share_a(suite, secret))


def answer_offer(parties, offer, anchor, n):
    """The responder's answer and keys."""
    _, suite, theirs = read_offer(offer)
    _, share, shared = respond(suite, n, negotiation_id(parties), anchor, parties.initiator_key, theirs)
    keys = Keys(transcript(parties, anchor[:32], offer, u8(128 + suite) + share), shared)
    return answer_bytes(suite, share, keys.responder_tag), keys


def handle_answer(parties, offer, answer, offer_txid, n):
    """The initiator's keys."""
    suite, share, tag = read_answer(answer)
    if suite != read_offer(offer)[1]:
        raise Refused("OtherSuite")
    secret = initiator_secret(suite, n, negotiation_id(parties), parties.responder_key)
    keys = Keys(transcript(parties, offer_txid, offer, answer[:-TAG_LEN]), agree(suite, secret, share))
    if keys.responder_tag != tag:
        raise Refused("WrongTag")
    return keys


# ------------------------------------------------------------------ 3.3, 7.4, 7.5, 7.6 and 7.7. Beside the payment

STATIC, DYNAMIC = 2, 3


def push(data):
    if len(data) < 76:
        return u8(len(data)) + data
    return (b"\x4c" + u8(len(data)) if len(data) < 256 else b"\x4d" + len(data).to_bytes(2, "little")) + data


def data_script(message):
    return b"\x6a" + push(message)


def envelope_script(author_key, message):
    """7.7"""
    if not 4 <= len(message) <= 3500:
        raise Refused("EnvelopeForm")
    n = max(2, -(-len(message) // 520))
    width = -(-len(message) // n)
    parts = [message[at : at + width] for at in range(0, len(message), width)]
    drops = b"\x6d" * (n // 2) + b"\x75" * (n % 2)
    return push(author_key) + b"\xac" + b"".join(map(push, parts)) + drops


def shows_envelope(witness):
    if len(witness) != 2:
        return False
    script = witness[1]
    return len(script) > 35 and script[0] == 33 and script[34] == 0xAC and script[35] <= 0x4E


def liveness_script(negotiation_id, initiator_key, responder_key):
    """9.4"""
    return push(negotiation_id) + b"\x75\x51" + push(initiator_key) + push(responder_key) + b"\x52\xae"


def p2wsh(script):
    return b"\x00\x20" + sha256(script)


def coin_spender(tx, index, script, amount, keys):
    """Which of the keys spends a coin of that script, if one does with a signature as 5.2 asks for."""
    witness = tx.inputs[index].witness
    if len(witness) != 3 or witness[0] or witness[2] != script:
        return None
    try:
        r, s = read_signature(witness[1])
    except Refused:
        return None
    digest = tx.script_digest(index, script, amount)
    return next((key for key in keys if primitives.ecdsa_verify(key, digest, r, s)), None)


def lineage(epochs, txs):
    """9.4: what the transactions did, which coins live, and which epochs are revoked. `epochs` are (script, answer), `answer` and
    the numbers in what is returned being places in `txs`, which are in the chain's order."""
    steps, live, revoked = [], [], set()
    answers = {answer: epoch for epoch, (_, answer) in enumerate(epochs)}
    for place, tx in enumerate(txs):
        spent = [coin for coin in live if any(txin.outpoint == coin[0] for txin in tx.inputs)]
        if spent:
            moved = move(tx, place, spent, epochs)
            steps.append((place, "moved" if moved else "revoked"))
            live = [coin for coin in live if coin not in spent] + [moved] if moved else []
            if not moved:
                revoked |= {epoch for epoch, (_, answer) in enumerate(epochs) if answer < place}
        if place in answers:
            script = p2wsh(epochs[answers[place]][0])
            made = [at for at, output in enumerate(tx.outputs) if output.script == script]
            if made:
                live.append((outpoint(tx.txid(), made[0]), answers[place]))
                steps.append((place, "created"))
    return steps, [coin for coin, _ in live], sorted(revoked)


def move(tx, place, spent, epochs):
    """The coin that a move makes, and the epoch that it names."""
    (coin, named), *others = spent
    if others or tx.inputs[0].outpoint != coin or not tx.outputs:
        return None
    for epoch, (script, answer) in enumerate(epochs):
        if epoch != named and answer < place and tx.outputs[0].script == p2wsh(script):
            return outpoint(tx.txid(), 0), epoch
    return None


def pushed(script):
    """The bytes that the pushes at the beginning of a script push."""
    message, at = b"", 0
    while at < len(script) and script[at] <= 0x4E:
        size = {0x4C: 1, 0x4D: 2, 0x4E: 4}.get(script[at], 0)
        length = int.from_bytes(script[at + 1 : at + 1 + size], "little") if size else script[at]
        message += script[at + 1 + size : at + 1 + size + length]
        at += 1 + size + length
    return message


def read_envelope(tx, index, author_key, floor):
    signature, script = tx.inputs[index].witness
    try:
        primitives.parse_key(script[1:34])
    except Invalid:
        raise Refused("EnvelopeForm") from None
    message = pushed(script[35:])
    if envelope_script(script[1:34], message) != script:
        raise Refused("EnvelopeForm")
    if script[1:34] != author_key:
        raise Refused("Foreign")
    try:
        r, s = read_signature(signature)
    except Refused:
        raise Refused("Unsigned") from None
    if not primitives.ecdsa_verify(author_key, tx.script_digest(index, script, floor), r, s):
        raise Refused("Unsigned")
    return message


Beside = namedtuple("Beside", "message price fund")


def read_beside(tx, amount, chain, recipient):
    """What a transaction without a lock carries in an envelope; None if it is no message."""
    author_key = author(tx, amount)
    shown = [index for index, txin in enumerate(tx.inputs) if index and shows_envelope(txin.witness)]
    data = [output for output in tx.outputs if output.script[:1] == b"\x6a"]
    if len(shown) + len(data) > 1:
        raise Refused("SeveralMessages")
    if not shown:
        return None
    message = read_envelope(tx, shown[0], author_key, CHAINS[chain].floor)
    paid = [index for index, output in enumerate(tx.outputs) if output.script == p2wpkh(recipient)][:2]
    if not paid:
        return None
    price = sum(tx.outputs[index].amount for index in paid)
    return Beside(message, price, paid[1] if len(paid) > 1 else None)


def message_a(share, timestamp, suite, g=b"", p=b""):
    lengths = u32(len(share)) + u32(len(g)) + u32(len(p))
    return lengths + share + g + p + u32(timestamp) + u8(suite)


def message_b(share, timestamp, suite):
    return u32(len(share)) + share + u32(timestamp) + u8(128 + suite)


def letter_info(parties, from_initiator):
    keys = [parties.initiator_key, parties.responder_key]
    return b"keyway/1 static" + parties.chain_id + b"".join(keys if from_initiator else reversed(keys))


def seal_letter(parties, from_initiator, input0, to, message, n):
    recipient = parties.responder_key if from_initiator else parties.initiator_key
    anchor = b"" if from_initiator else input0
    ikm = derive(n, "hpke", negotiation_id(parties), anchor, recipient, aad=input0, plaintext=message)
    return primitives.hpke_seal(to, letter_info(parties, from_initiator), input0, message, ikm)


def open_letter(parties, from_initiator, input0, secret, letter):
    return primitives.hpke_open(secret, letter_info(parties, from_initiator), input0, letter)


def prekey_secret(q, suite):
    return expand(q, "prekey", u8(suite), length=64 if suite in FFDHE else 32)


def prekey_id(suite, prekey):
    return H("prekey", u8(suite), prekey)[:4]


def to_prekey(parties, suite, n, prekey):
    """What the offer carries beside share A, and the raw secret."""
    id_, recipient = negotiation_id(parties), parties.responder_key
    if suite != X25519_MLKEM768:
        return b"", agree(suite, initiator_secret(suite, n, id_, recipient), prekey)
    randomness = derive(n, "x-wing to prekey", id_, b"", recipient, aad=prekey, length=64)
    return mlkem.xwing_encapsulate(prekey, randomness)[:2]


def first_secret(parties, suite, prekey, share, ciphertext, raw):
    """f"""
    bound = [parties.chain_id, u8(suite), parties.initiator_key, parties.responder_key, prekey, share, ciphertext]
    return extract(H("first secret", *bound, parties.input0), raw)


def script_number(number):
    """Of more than 16."""
    return number.to_bytes(number.bit_length() // 8 + 1, "little")


def lock_script(parties, payment_hash, timeout):
    """andor(pk(R),sha256(h),and_v(v:pk(I),after(T))) in Script."""
    back = push(parties.initiator_key) + b"\xad" + push(script_number(timeout)) + b"\xb1"
    collect = b"\x82\x01\x20\x88\xa8" + push(payment_hash) + b"\x87"
    return push(parties.responder_key) + b"\xac\x64" + back + b"\x67" + collect + b"\x68"


def minimal(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def exponent_lock(parties, suite, share, t, timeout):
    """7.6: the leaf that collects, and the output's script."""
    p, a, t = primitives.ffdhe_prime(FFDHE[suite]), int.from_bytes(share, "big"), int.from_bytes(t, "big")
    power = push(primitives.hash160(minimal(pow(a, t, p))))
    own = push(minimal(a)) + push(minimal(p)) + b"\xee\xa9" + power + b"\x88"
    own += push(parties.responder_key[1:]) + b"\xac"
    # The natural witness: a count, a signature, t, the leaf, a control block of two leaves.
    price = 8 + (256 + 32) * ((4 * (FFDHE[suite] // 512) + 1) ** 2 + 24) // 160
    budget = 50 + 1 + 65 + 33 + (3 + len(own)) + 66
    collect = padding(price + 50 - budget) + own
    back = push(parties.initiator_key[1:]) + b"\xad" + push(script_number(timeout)) + b"\xb1"
    return collect, b"\x51\x20" + primitives.taproot_key(NOBODY, collect, back)


NOBODY = bytes.fromhex("50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0")


def padding(missing):
    """Zeros that are pushed and dropped."""
    zeros = [min(520, missing - start) for start in range(0, max(missing, 0), 520)]
    return b"".join(push(bytes(length)) + b"\x75" for length in zeros)


# ------------------------------------------------------------------ 10. Session keys

INITIATOR, RESPONDER = 1, 2


def next_chain_key(ck, block):
    return extract(block, ck)


def session_key(ck, direction, height):
    return expand(ck, "session", u8(direction), u32(height))


# ------------------------------------------------------------------ 11. Sealed messages

SEALED_PREFIX = "keyway-sealed:"
Envelope = namedtuple("Envelope", "negotiation_id height block stream counter initiator_tag")


def cbor_head(major, number):
    """RFC 8949, 4.2.1."""
    if number < 24:
        return u8(32 * major + number)
    size = next(size for size in range(4) if number < 2 ** (8 * 2**size))
    return u8(32 * major + 24 + size) + number.to_bytes(2**size, "big")


def cbor_bytes(data):
    return cbor_head(2, len(data)) + data


def protected_header(envelope):
    entries = [
        cbor_head(0, 1) + cbor_head(0, 24),
        cbor_head(0, 4) + cbor_bytes(envelope.negotiation_id),
        cbor_head(0, 5) + cbor_bytes(bytes(4) + u64(envelope.counter)),
        cbor_head(1, 65537 - 1) + cbor_head(0, envelope.height),
        cbor_head(1, 65538 - 1) + cbor_bytes(envelope.block),
        cbor_head(1, 65539 - 1) + cbor_bytes(envelope.stream),
    ]
    if envelope.initiator_tag is not None:
        entries.append(cbor_head(1, 65540 - 1) + cbor_bytes(envelope.initiator_tag))
    return cbor_head(5, len(entries)) + b"".join(entries)


def sealed_bytes(envelope, ciphertext):
    parts = cbor_bytes(protected_header(envelope)) + b"\xa0" + cbor_bytes(ciphertext)
    return cbor_head(6, 16) + cbor_head(4, 3) + parts


def message_key(sk, stream):
    return expand(sk, "message key", stream)


def encryption_inputs(envelope, sk, aad):
    """Key, nonce, and RFC 9052's Enc_structure."""
    structure = cbor_head(4, 3) + cbor_head(3, 8) + b"Encrypt0"
    structure += cbor_bytes(protected_header(envelope)) + cbor_bytes(aad)
    return message_key(sk, envelope.stream), bytes(4) + u64(envelope.counter), structure


def seal(envelope, sk, plaintext, aad):
    key, nonce, structure = encryption_inputs(envelope, sk, aad)
    return sealed_bytes(envelope, primitives.aead_encrypt(key, nonce, plaintext, structure))


def sealed_text(message):
    return SEALED_PREFIX + primitives.base64url_encode(message)


def open_sealed(message, sk, aad):
    envelope, ciphertext = read_sealed(message)
    key, nonce, structure = encryption_inputs(envelope, sk, aad)
    try:
        return primitives.aead_decrypt(key, nonce, ciphertext, structure)
    except Invalid:
        raise Refused("OpenError") from None


def read_sealed_text(text):
    return read_sealed(text_bytes(text, SEALED_PREFIX))


def read_sealed(message):
    """Envelope and ciphertext; what is written anew from them must be the same message."""
    try:
        outer = CborReader(message)
        outer.expect(b"\xd0\x83")
        header, ciphertext = outer.string_then(b"\xa0"), outer.string()
        envelope = read_header(CborReader(header))
    except Invalid:
        raise Refused("Form") from None
    if sealed_bytes(envelope, ciphertext) != message:
        raise Refused("Form")
    return envelope, ciphertext


def read_header(reader):
    count = reader.head(5)
    values = {}
    for _ in range(count):
        label = reader.integer()
        if label in values:
            raise Invalid
        values[label] = reader.integer() if label in (1, -65537) else reader.string()
    lengths = {4: 32, 5: 12, -65538: 32, -65539: 16, -65540: 16}
    if not {1, 4, 5, -65537, -65538, -65539} <= set(values) <= {1, -65537, *lengths}:
        raise Invalid
    if any(len(values[label]) != length for label, length in lengths.items() if label in values):
        raise Invalid
    if not 0 <= values[-65537] < 2**32:
        raise Invalid
    counter = int.from_bytes(values[5][4:], "big")
    return Envelope(values[4], values[-65537], values[-65538], values[-65539], counter, values.get(-65540))


class CborReader:
    """Definite lengths, as short as they can be."""

    def __init__(self, data):
        self.data = data

    def take(self, length):
        if length > len(self.data):
            raise Invalid
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def expect(self, data):
        if self.take(len(data)) != data:
            raise Invalid

    def any_head(self):
        major, number = divmod(self.take(1)[0], 32)
        if number >= 24:
            if number > 27:
                raise Invalid
            number = int.from_bytes(self.take(2 ** (number - 24)), "big")
        return major, number

    def head(self, wanted):
        major, number = self.any_head()
        if major != wanted:
            raise Invalid
        return number

    def integer(self):
        major, number = self.any_head()
        if major > 1:
            raise Invalid
        return number if major == 0 else -1 - number

    def string(self):
        return self.take(self.head(2))

    def string_then(self, data):
        taken = self.string()
        self.expect(data)
        return taken
