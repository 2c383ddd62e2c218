"""Section 13 of docs/PROTOCOL.md: reading a file of evidence, and checking what it proves."""

import hashlib
import json
from collections import namedtuple

import keyway
import primitives
from keyway import DYNAMIC, STATIC, VALUE, H, Parties, Reader, Refused, Transaction, u8, u32
from primitives import Invalid, double_sha256, sha256

# What headers write, and whether blocks are worked for by scrypt; chains for testing, where any block may be easy.
WORK = {"regtest": (0x207FFFFF, False), "litecoin-regtest": (0x207FFFFF, True), "signet": (0x1E0377AE, False)}
P2WSH, P2TR = b"\x00\x20", b"\x51\x20"
INITIATOR, RESPONDER = "initiator", "responder"
NUMBER = {INITIATOR: 1, RESPONDER: 2}
FFDH_PUBLISHED, FFDH_CUSTOM = FROM_OUTSIDE = 6, 7

ORDER = (
    "keyway-evidence initiator responder offer answer spending offer-contents answer-contents responder-tag-key "
    "initiator-says responder-says session first-height header sha256"
).split()
KEYS = {
    "keyway-evidence": "version chain challenge",
    "offer": "height index branch tx signature key coin_sat envelope",
    "answer": "height index branch tx signature key coin_sat envelope",
    "spending": "height index branch tx from coin_sat signature names",
    "offer-contents": "message ephemeral",
    "answer-contents": "message ephemeral",
    "initiator-says": "fingerprint signature",
    "responder-says": "fingerprint signature",
    "session": "by height sender key signature",
}

SEVERAL = "spending", "session", "header"

Offer = namedtuple("Offer", "carrier suites form message sealed anchor anchored price collected lock_time")
Statement = namedtuple("Statement", "id offer seen answer coin spendings commit transcript tag words sessions depth names")
Placed = namedtuple("Placed", "txid height block time median_time")
Coin = namedtuple("Coin", "outpoint amount id")
Spending = namedtuple("Spending", "at by origin to revokes")


# ------------------------------------------------------------------ 13.3 The file


def read(text):
    """The entries by their names; those that may come more often, in lists."""
    lines = text.split("\n")
    if lines.pop() != "" or json.loads(lines[-1]) != {"sha256": checksum(lines[:-1])}:
        raise Refused("Checksum")
    entries, last = {name: [] for name in SEVERAL}, -1
    for line in lines:
        entry = json.loads(line)
        if json.dumps(entry, separators=(",", ":"), ensure_ascii=False) != line or len(entry) != 1:
            raise Refused("Form")
        ((name, value),) = entry.items()
        place = ORDER.index(name)
        if place < last or (place == last and name not in SEVERAL):
            raise Refused("Form")
        if isinstance(value, dict) and list(value) != KEYS[name].split():
            raise Refused("Form")
        last = place
        if name in SEVERAL:
            entries[name].append(value)
        else:
            entries[name] = value
    return entries


def checksum(lines):
    return sha256("".join(line + "\n" for line in lines).encode()).hex()


def with_checksum(lines):
    return "".join(line + "\n" for line in [*lines, json.dumps({"sha256": checksum(lines)}, separators=(",", ":"))])


# ------------------------------------------------------------------ 13.2 In a block


def root(txid, index, branch):
    if len(branch) > 20 or index >> len(branch):
        raise Refused("Branch")
    node = txid
    for level, sibling in enumerate(branch):
        right = index >> level & 1
        if right and sibling == node:
            raise Refused("Branch")
        pair = sibling + node if right else node + sibling
        if is_transaction(pair):
            raise Refused("Branch")
        node = double_sha256(pair)
    return node


def is_transaction(data):
    try:
        tx = Transaction(data)
    except (Invalid, KeyError):
        return False
    return bool(tx.inputs) and data[4:6] != b"\0\1"


def moduli(suite, length):
    """How long p can be in a sealed offer of that length, of a suite whose group comes from outside (6.2)."""
    rest = {p: length - 17 - p - (64 if suite == FFDH_PUBLISHED else p) for p in range(256, 513)}
    return [p for p, g in rest.items() if (g == 0 if suite == FFDH_PUBLISHED else 1 <= g <= p)]


class Headers:
    def __init__(self, chain, first, headers):
        self.chain, self.first, self.headers = chain, first, headers

    def at(self, height):
        index = height - self.first
        return self.headers[index] if 0 <= index < len(self.headers) else None

    def check(self):
        easiest, scrypt = WORK[self.chain]
        genesis = keyway.chain_id(self.chain)
        for index, header in enumerate(self.headers):
            if len(header) != 80 or ((self.first + index == 0) != (double_sha256(header) == genesis)):
                raise Refused("Headers")
            if index and header[4:36] != double_sha256(self.headers[index - 1]):
                raise Refused("Headers")
            goal = target(int.from_bytes(header[72:76], "little"))
            number = hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=32) if scrypt else double_sha256(header)
            if self.first + index and (goal > target(easiest) or int.from_bytes(number, "little") > goal):
                raise Refused("Headers")

    def time(self, height):
        return int.from_bytes(self.at(height)[68:72], "little")

    def median_time(self, height):
        times = [self.time(at) for at in range(max(0, height - 10), height + 1)]
        return sorted(times)[len(times) // 2]


def target(bits):
    exponent, mantissa = bits >> 24, bits & 0x7FFFFF
    return mantissa << 8 * (exponent - 3) if exponent > 3 else mantissa >> 8 * (3 - exponent)


# ------------------------------------------------------------------ the check


class Check:
    def __init__(self, entries):
        top = entries["keyway-evidence"]
        self.entries, self.chain_id = entries, bytes.fromhex(top["chain"])
        self.chain = next(name for name in keyway.CHAINS if keyway.chain_id(name) == self.chain_id)
        self.floor = keyway.CHAINS[self.chain].floor
        self.cards = {side: permanent(bytes.fromhex(entries[side])) for side in (INITIATOR, RESPONDER)}
        self.keys = {side: card.identity_key for side, card in self.cards.items()}

    def statement(self, least_depth):
        self.check_cards()
        headers = [bytes.fromhex(header) for header in self.entries["header"]]
        self.headers = Headers(self.chain, self.entries["first-height"], headers)
        self.headers.check()
        placed, tx = self.place("offer")
        seen = self.read_offer(tx, self.entries["offer"]["coin_sat"])
        commit = self.check_commit("offer", tx)
        answer = self.read_answer(tx, seen) if self.entries["answer"] else None
        ids = self.parties(seen, tx)
        messages = self.open(ids, seen, tx, answer)
        transcript = self.transcript(ids, seen, placed.txid, messages)
        tag = self.check_tag(transcript, messages)
        words, sessions = self.check_words(ids, placed.txid, answer)
        coin, spendings = self.check_spendings(keyway.negotiation_id(ids), answer)
        pivot = [self.entries["answer"] or self.entries["offer"], *self.entries["spending"]][-1]["height"]
        depth = self.headers.first + len(headers) - pivot
        if depth < least_depth:
            raise Refused("TooShallow")
        names = [self.cards[side].name for side in (INITIATOR, RESPONDER)]
        return Statement(
            keyway.negotiation_id(ids), placed, seen, answer and answer[0], coin, spendings, commit, transcript, tag, words,
            sessions, depth, names,
        )  # fmt: skip

    def check_cards(self):
        if any(card.chain_id != self.chain_id for card in self.cards.values()):
            raise Refused("ForeignCard")
        if self.keys[INITIATOR] == self.keys[RESPONDER]:
            raise Refused("OneParty")

    def place(self, which):
        return self.place_entry(self.entries[which])

    def place_entry(self, entry):
        tx, header = transaction(entry), self.headers.at(entry["height"])
        if header is None:
            raise Refused("NoHeader")
        branch = [bytes.fromhex(node) for node in entry["branch"]]
        if root(tx.txid(), entry["index"], branch) != header[36:68]:
            raise Refused("NotInBlock")
        height = entry["height"]
        time, median = self.headers.time(height), self.headers.median_time(height)
        return Placed(tx.txid(), height, double_sha256(header), time, median), tx

    def read_offer(self, tx, amount):
        try:
            author = keyway.author(tx, amount)
        except Refused:
            raise Refused("OfferAuthor") from None
        if author != self.keys[INITIATOR]:
            raise Refused("OtherInitiator")
        return self.in_amounts(tx) or self.beside(tx)

    def in_amounts(self, tx):
        try:
            run = keyway.read_run(tx, self.chain, self.keys[INITIATOR], self.keys[RESPONDER])
            form, suite, _ = keyway.read_offer(run.message)
        except (Refused, AttributeError):
            return None
        coins = [keyway.outpoint(tx.txid(), run.first + at) for at in range(len(run.amounts))]
        return Offer(
            VALUE, [suite], form, run.message, None, coins[0], run.amounts[0], sum(run.amounts), coins, tx.lock_time
        )

    def beside(self, tx):
        message = self.message_in(tx, self.keys[INITIATOR], "NoOffer")
        own = [at for at, out in enumerate(tx.outputs) if out.script == keyway.p2wpkh(self.keys[RESPONDER])][:2]
        locks = [at for at, out in enumerate(tx.outputs) if len(out.script) == 34 and out.script[:2] in (P2WSH, P2TR)]
        if not own or len(locks) > 1:
            raise Refused("NoOffer")
        price = sum(tx.outputs[at].amount for at in own + locks)
        coins = [keyway.outpoint(tx.txid(), at) for at in own[:1] + locks]
        rest = coins[0], tx.outputs[own[0]].amount, price, coins, tx.lock_time
        if locks:
            return Offer(DYNAMIC, [self.dynamic_suite(message)], None, message, None, *rest)
        suites = [suite for suite, (a, _) in keyway.SHARE_LENS.items() if 17 + a + 48 == len(message)]
        suites += [suite for suite in FROM_OUTSIDE if moduli(suite, len(message) - 48)]
        if not suites:
            raise Refused("NoOffer")
        return Offer(STATIC, suites, None, None, message, *rest)

    def dynamic_suite(self, message):
        suite = message[0]
        shares = keyway.SHARE_LENS.get(suite, (0, 0))
        ciphertext = shares[1] if suite == keyway.X25519_MLKEM768 else 0
        if suite not in keyway.SHARE_LENS or len(message) != 9 + shares[0] + ciphertext:
            raise Refused("NoOffer")
        return suite

    def message_in(self, tx, author, refused):
        data = [out for out in tx.outputs if out.script[:1] == b"\x6a"]
        shown = [at for at, txin in enumerate(tx.inputs) if at and keyway.shows_envelope(txin.witness)]
        if len(data) + len(shown) != 1:
            raise Refused(refused)
        if shown:
            return keyway.read_envelope(tx, shown[0], author, self.floor)
        message = keyway.pushed(data[0].script[1:])
        if data[0].amount or keyway.data_script(message) != data[0].script or not 2 <= len(message) <= 10_000:
            raise Refused(refused)
        return message

    def read_answer(self, offer_tx, seen):
        """Where it is, the message if it is in the open, and the bytes if it is sealed."""
        placed, tx = self.place("answer")
        entries = self.entries["offer"], self.entries["answer"]
        first, then = ((entry["height"], entry["index"]) for entry in entries)
        if then <= first:
            raise Refused("AnswerBeforeOffer")
        if then[0] > first[0] + 1008:
            raise Refused("Late")
        try:
            if tx.inputs[0].outpoint != seen.anchor or keyway.author(tx, seen.anchored) != self.keys[RESPONDER]:
                raise Refused("NoAnswer")
            message = self.answer_bytes(tx, seen)
        except Refused:
            raise Refused("NoAnswer") from None
        self.check_commit("answer", tx)
        if seen.carrier == STATIC:
            return placed, None, message, tx.lock_time
        return placed, message, None, tx.lock_time

    def answer_bytes(self, tx, seen):
        lengths = [keyway.SHARE_LENS[suite][1] for suite in seen.suites if suite in keyway.SHARE_LENS]
        if seen.carrier == VALUE:
            length = keyway.answer_len(seen.suites[0])
            if seen.form == keyway.SEQUENCES:
                message = keyway.read_in_sequences(tx, seen.collected, length)
            else:
                keys = self.keys[RESPONDER], self.keys[INITIATOR]
                message = keyway.read_in_amounts(tx, seen.collected, length, self.chain, *keys).message
            if keyway.read_answer(message)[0] != seen.suites[0]:
                raise Refused("NoAnswer")
            return message
        if [txin.outpoint for txin in tx.inputs[: len(seen.collected)]] != seen.collected:
            raise Refused("NoAnswer")
        message = self.message_in(tx, self.keys[RESPONDER], "NoAnswer")
        frame = 16 if seen.carrier == DYNAMIC else 25 + 48
        outside = [moduli(suite, len(seen.sealed) - 48) for suite in seen.suites if suite in FROM_OUTSIDE]
        if len(message) - frame not in lengths + [modulus for found in outside for modulus in found]:
            raise Refused("NoAnswer")
        return message

    def check_commit(self, which, tx):
        envelope = self.entries[which]["envelope"]
        if not envelope or envelope["commit"] is None:
            return None
        commit, coin = Transaction(bytes.fromhex(envelope["commit"])), tx.inputs[envelope["input"]].outpoint
        index = int.from_bytes(coin[32:], "little")
        output = self.floor, P2WSH + sha256(bytes.fromhex(envelope["script"]))
        if coin[:32] != commit.txid() or commit.outputs[index : index + 1] != [output]:
            raise Refused("Commit")
        return commit.txid()

    # -------------------------------------------------------------- the liveness coin

    def scripts(self, id_):
        """Those of a negotiation of the two, begun by either."""
        keys = list(self.keys.values())
        return [keyway.liveness_script(id_, *order) for order in (keys, keys[::-1])]

    def check_spendings(self, own, answer):
        coin = self.created(own, answer)
        held, last, seen = coin, self.entries["answer"] or self.entries["offer"], []
        for entry in self.entries["spending"]:
            placed, tx = self.place_entry(entry)
            if not answer or (entry["height"], entry["index"]) <= (last["height"], last["index"]):
                raise Refused("SpendingOrder")
            origin = entry["from"] and bytes.fromhex(entry["from"])
            if (origin is None) == (held is None) or (origin and seen):
                raise Refused("NotSpending")
            spent = Coin(tx.inputs[0].outpoint, entry["coin_sat"], origin) if origin else held
            one, held = self.check_spending(entry, placed, tx, spent, origin)
            if origin and one.to != own:
                raise Refused("NotMoved")
            seen.append(one)
            last = entry
        return coin, seen

    def created(self, own, answer):
        if not answer:
            return None
        script = keyway.p2wsh(keyway.liveness_script(own, self.keys[INITIATOR], self.keys[RESPONDER]))
        tx = transaction(self.entries["answer"])
        made = [(at, output.amount) for at, output in enumerate(tx.outputs) if output.script == script]
        return Coin(keyway.outpoint(tx.txid(), made[0][0]), made[0][1], own) if made else None

    def check_spending(self, entry, placed, tx, spent, origin):
        inputs = [at for at, txin in enumerate(tx.inputs) if txin.outpoint == spent.outpoint]
        if not inputs:
            raise Refused("NotSpending")
        by = self.signer(entry, tx, inputs[0], spent)
        to = entry["names"] and bytes.fromhex(entry["names"])
        output = tx.outputs[0] if tx.outputs else None
        if to and (inputs[0] or not output or output.script not in map(keyway.p2wsh, self.scripts(to))):
            raise Refused("NotMoved")
        held = Coin(keyway.outpoint(tx.txid(), 0), output.amount, to) if to else None
        into_script = inputs[0] == 0 and output and len(output.script) == 34 and output.script[:2] == P2WSH
        return Spending(placed, by, origin, to, int(not to and not into_script)), held

    def signer(self, entry, tx, index, spent):
        if entry["signature"] is None:
            return None
        for script in self.scripts(spent.id):
            witness = [b"", bytes.fromhex(entry["signature"]), script]
            tx.inputs[index] = tx.inputs[index]._replace(witness=witness)
            by = keyway.coin_spender(tx, index, script, spent.amount, list(self.keys.values()))
            if by:
                return by
        raise Refused("CoinSignature")

    def parties(self, seen, tx):
        digests = [keyway.permanent_digest(self.cards[side]) for side in (INITIATOR, RESPONDER)]
        return Parties(
            self.chain_id, seen.carrier, self.keys[INITIATOR], self.keys[RESPONDER], *digests, tx.inputs[0].outpoint
        )

    # -------------------------------------------------------------- 13.4

    def open(self, ids, seen, offer_tx, answer):
        offer_bytes, answer_bytes = seen.message, answer and answer[1]
        laid = self.entries.get("offer-contents")
        if laid:
            size = lambda suite: 17 + keyway.SHARE_LENS[suite][0]  # noqa: E731
            offer_bytes = self.laid(laid, seen.sealed, seen.lock_time, 5, size, 0)
            self.seal_again(ids, True, ids.input0, self.cards[RESPONDER].sealing_key, laid, seen.sealed)
        laid = self.entries.get("answer-contents")
        if laid:
            sealed = answer and answer[2]
            size = lambda suite: 25 + keyway.SHARE_LENS[suite][1]  # noqa: E731
            answer_bytes = self.laid(laid, sealed, answer and answer[3], 5 + 16, size, 128)
            self.seal_again(ids, False, seen.anchor, self.cards[INITIATOR].sealing_key, laid, sealed)
        return offer_bytes, answer_bytes

    def laid(self, laid, sealed, lock_time, back, size, head):
        if sealed is None:
            raise Refused("NothingSealed")
        message = bytes.fromhex(laid["message"])
        tail = message[len(message) - back :]
        suite = tail[4] - head if len(tail) == back else None
        if suite not in keyway.SHARE_LENS or len(message) != size(suite):
            raise Refused("LaidMessage")
        if int.from_bytes(tail[:4], "big") != lock_time:
            raise Refused("LaidDate")
        return message

    def seal_again(self, ids, from_initiator, input0, to, laid, sealed):
        info, ikm = keyway.letter_info(ids, from_initiator), bytes.fromhex(laid["ephemeral"])
        if primitives.hpke_seal(to, info, input0, bytes.fromhex(laid["message"]), ikm) != sealed:
            raise Refused("LaidContents")

    # -------------------------------------------------------------- 13.5

    def transcript(self, ids, seen, offer_txid, messages):
        offer, answer = messages
        if offer is None or answer is None:
            return None
        # Of a message in the paper's layout the suite is the last byte, else it is in the first.
        suite = offer[-1] if seen.carrier == STATIC else offer[0] % 64
        return keyway.transcript(ids, offer_txid, offer, answer[:-16], u8(suite))

    def check_tag(self, transcript, messages):
        key = self.entries.get("responder-tag-key")
        if key is None:
            return False
        if transcript is None:
            raise Refused("TagWithoutMessages")
        if primitives.hmac_sha256(bytes.fromhex(key), transcript)[:16] != messages[1][-16:]:
            raise Refused("WrongTag")
        return True

    def check_words(self, ids, offer_txid, answer):
        words, sessions = {}, []
        for side in (INITIATOR, RESPONDER):
            said = self.entries.get(f"{side}-says")
            if said:
                words[side] = bytes.fromhex(said["fingerprint"])
                self.check_word(ids, offer_txid, answer, side, b"\1" + words[side], said["signature"])
        for said in self.entries["session"]:
            header = self.headers.at(said["height"])
            if header is None or not answer or said["height"] < answer[0].height:
                raise Refused("SessionBlock")
            key = bytes.fromhex(said["key"])
            place = u32(said["height"]) + double_sha256(header)
            claim = b"\2" + place + u8(NUMBER[said["sender"]]) + key
            self.check_word(ids, offer_txid, answer, said["by"], claim, said["signature"])
            sessions.append(key)
        return words, sessions

    def check_word(self, ids, offer_txid, answer, by, claim, signature):
        if not answer:
            raise Refused("Word")
        id_, by_number = keyway.negotiation_id(ids), u8(NUMBER[by])
        digest = H("disclosure", self.chain_id, id_, offer_txid, answer[0].txid, by_number, claim)
        if not primitives.schnorr_verify(self.keys[by][1:], digest, bytes.fromhex(signature)):
            raise Refused("Word")


def permanent(data):
    reader = Reader(data)
    if reader.number(1) != 1:
        raise Refused("UnknownVersion")
    card = keyway.Card(*keyway.read_permanent(reader), *[None] * 5)
    signature = reader.take(64)
    if reader.data or not primitives.schnorr_verify(card.identity_key[1:], keyway.permanent_digest(card), signature):
        raise Refused("PermanentSignature")
    return card


def transaction(entry):
    data = bytes.fromhex(entry["tx"])
    tx = Transaction(data)
    if len(data) == 64 or len(data) > 100_000 or data[4:6] == b"\0\1":
        raise Refused("Transaction")
    shown = {0: (entry["signature"], entry["key"])} if "key" in entry else {}
    if entry.get("envelope"):
        shown[entry["envelope"]["input"]] = entry["envelope"]["signature"], entry["envelope"]["script"]
    for index, witness in shown.items():
        tx.inputs[index] = tx.inputs[index]._replace(witness=[bytes.fromhex(element) for element in witness])
    return tx
