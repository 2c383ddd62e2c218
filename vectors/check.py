#!/usr/bin/env python3
"""Recomputes every value in vectors/*.json with keyway.py, an implementation written from docs/PROTOCOL.md, and
op_exponent.json with op_exponent.py, written from docs/OP_EXPONENT.md.

Needs Python 3.9 and nothing else. Says what differs; fails if anything does, or if a value was not looked at.
"""

import json
import sys
from pathlib import Path

import evidence
import keyway
import op_exponent
import primitives
from keyway import INITIATOR, RESPONDER, Binding, Card, Envelope, Parties, Refused, Transaction, outpoint

# A sealed message is of the form that section 11 gives, or not; the code also says at which step it saw that.
FORM = ("NotCose", "Header")
ANSWER_LEN = keyway.answer_len(keyway.X25519)


class Case:
    """An object of the file; remembers which of its entries were looked at."""

    def __init__(self, entries):
        self.entries = {key: wrapped(value) for key, value in entries.items()}
        self.unseen = set(entries) - {"id", "comment"}

    def __getitem__(self, key):
        self.unseen.discard(key)
        return self.entries[key]

    def hex(self, key):
        return None if self[key] is None else bytes.fromhex(self[key])

    def compare(self, **computed):
        for key, value in computed.items():
            found = self[key]
            value = value.hex() if isinstance(value, bytes) else value
            if found != value:
                raise Different(f"{key}: the file has {found}, and PROTOCOL.md gives {value}")

    def compare_outcome(self, function, *arguments, **names):
        """What the function returns, by the names of the entries that hold it, or why it refuses."""
        try:
            returned, error = function(*arguments), None
        except Refused as refused:
            returned, error = None, str(refused)
        error = self["error"] if error == "Form" and self["error"] in FORM else error
        self.compare(error=error, **{key: returned and pick(returned) for key, pick in names.items()})
        return returned

    def assert_all_seen(self):
        for key, value in self.entries.items():
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, Case):
                    part.assert_all_seen()
        if self.unseen:
            raise Different(f"not looked at: {', '.join(sorted(self.unseen))}")


class Different(Exception):
    pass


def wrapped(value):
    if isinstance(value, list):
        return [wrapped(item) for item in value]
    return Case(value) if isinstance(value, dict) else value


# ------------------------------------------------------------------ derivation.json


def check_derivation(case):
    seed = keyway.Seed(case["mnemonic"], case["chain"], case.hex("challenge"))
    names = "chain_id bip32_seed identity_secret identity_key k root sealing_secret sealing_key"
    case.compare(**{name: getattr(seed, name) for name in names.split()})
    prefix = keyway.CHAINS[case["chain"]].prefix
    case.compare(
        script=keyway.p2wpkh(seed.identity_key), address=primitives.p2wpkh_address(prefix, seed.identity_key)
    )
    for negotiation in case["negotiations"]:
        s, n = seed.negotiation(negotiation["index"])
        negotiation.compare(s=s, n=n)


# ------------------------------------------------------------------ cards.json


def check_valid_card(case):
    seed = keyway.Seed(case["mnemonic"], case["chain"])
    prekeys = [(prekey["suite"], prekey["last_height"], prekey.hex("key")) for prekey in case["prekeys"]]
    card = Card(
        case["name"], seed.chain_id, seed.identity_key, seed.sealing_key,
        case["serial"], case["expiry"], case["suites"], case["carriers"], prekeys,
    )  # fmt: skip
    permanent, renewable = keyway.permanent_digest(card), keyway.renewable_digest(card)
    case.compare(
        permanent=keyway.permanent_bytes(card),
        permanent_digest=permanent,
        permanent_signature=primitives.schnorr_sign(seed.identity_secret, permanent),
        renewable=keyway.renewable_bytes(card),
        renewable_digest=renewable,
        renewable_signature=primitives.schnorr_sign(seed.identity_secret, renewable),
        text=keyway.card_text(card, seed.identity_secret),
    )
    if keyway.read_card(case["text"]) != card:
        raise Different("the card is not read as it was written")


def check_unreadable_card(case):
    case.compare_outcome(keyway.read_card, case["text"])


def check_accepted_card(case):
    reader = case.hex("reader_chain_id"), case.hex("reader_key"), case["tip"]
    case.compare_outcome(keyway.accept_card, case["text"], *reader, case["known"])


# ------------------------------------------------------------------ introductions.json


def check_introduction(case):
    seed = keyway.Seed(case["introducer_mnemonic"], case["chain"])
    word = keyway.Introduction(
        seed.chain_id, seed.identity_key, case.hex("subject"), case["serial"], case["expiry"]
    )
    digest = keyway.introduction_digest(word)
    case.compare(
        signed=keyway.introduction_bytes(word),
        digest=digest,
        signature=primitives.schnorr_sign(seed.identity_secret, digest),
        text=keyway.introduction_text(word, seed.identity_secret),
    )
    if keyway.read_introduction(case["text"]) != word:
        raise Different("the introduction is not read as it was written")


def check_unreadable_introduction(case):
    case.compare_outcome(keyway.read_introduction, case["text"])


def check_choice(case):
    known, other = (keyway.read_introduction(case[name]) for name in ("known", "other"))
    case.compare(counts="other" if keyway.replaces(other, known) else "known")


# ------------------------------------------------------------------ authorship.json


def check_authorship(case):
    tx = Transaction(case.hex("tx"))
    case.compare_outcome(
        keyway.author, tx, case["amount"], author=lambda author: author, txid=lambda _: tx.txid()
    )


# ------------------------------------------------------------------ negotiation.json


def parties(case):
    keys = "chain_id carrier initiator_key responder_key initiator_digest responder_digest input0"
    return Parties(*(case[key] if key == "carrier" else case.hex(key) for key in keys.split()))


def check_answering(case):
    arguments = parties(case), case.hex("offer"), case.hex("anchor"), case.hex("n")
    picks = {"answer": lambda pair: pair[0], "fingerprint": lambda pair: pair[1].fingerprint}
    case.compare_outcome(keyway.answer_offer, *arguments, **picks)


def check_reading_an_answer(case):
    form, suite, _ = keyway.read_offer(case.hex("offer"))
    case.compare(offer=keyway.make_offer(parties(case), form, suite, case.hex("n")))
    arguments = parties(case), case.hex("offer"), case.hex("answer"), case.hex("anchor")[:32], case.hex("n")
    case.compare_outcome(keyway.handle_answer, *arguments, fingerprint=lambda keys: keys.fingerprint)


# ------------------------------------------------------------------ value.json


def check_layout(case):
    chain, length = case["chain"], case["len"]
    c = keyway.largest_c(chain, length, case["price"])
    outputs = None if c is None else keyway.data_outputs(length, c) + 2
    case.compare(least_price=keyway.least_price(chain, length), c=c, outputs=outputs)


def check_run(case):
    message, price = case.hex("message"), case["price"]
    binding = Binding(case["chain"], case.hex("input0"), case.hex("author"), case.hex("recipient"))
    c = keyway.largest_c(binding.chain, len(message), price)
    checksum = keyway.value_checksum(binding, message)
    case.compare(checksum=checksum, c=c, amounts=keyway.run_amounts(binding, message, price, c))


def check_reading_a_run(case):
    tx, chain, recipient = Transaction(case.hex("tx")), case["chain"], case.hex("recipient")
    author = keyway.author(tx, case["amount"])
    case.compare_outcome(
        keyway.read_run, tx, chain, author, recipient,
        message=lambda run: run.message, anchor=lambda run: outpoint(tx.txid(), run.first),
    )  # fmt: skip


def check_sequences(case):
    case.compare(sequences=keyway.sequence_numbers(case.hex("message"), case["run_outputs"]))


def check_collecting(case):
    tx, chain, initiator = Transaction(case.hex("tx")), case["chain"], case.hex("initiator")
    responder = keyway.author(tx, case["amount"])
    run = [outpoint(case.hex("run_txid"), index) for index in range(case["run_outputs"])]

    def read():
        if case["form"] == "sequences":
            return keyway.read_in_sequences(tx, run, ANSWER_LEN)
        return keyway.read_in_amounts(tx, run, ANSWER_LEN, chain, responder, initiator).message

    case.compare_outcome(read, message=lambda message: message)


# ------------------------------------------------------------------ sealed.json


def check_sealed(case):
    envelope = Envelope(
        case.hex("negotiation_id"), case["height"], case.hex("block"),
        case.hex("stream"), case["counter"], case.hex("initiator_tag"),
    )  # fmt: skip
    sk, plaintext, aad = case.hex("sk"), case.hex("plaintext"), case.hex("aad")
    message = keyway.seal(envelope, sk, plaintext, aad)
    message_key = keyway.message_key(sk, envelope.stream)
    case.compare(message_key=message_key, message=message, text=keyway.sealed_text(message))
    if keyway.open_sealed(message, sk, aad) != plaintext or keyway.read_sealed(message)[0] != envelope:
        raise Different("the message is not opened as it was sealed")


def check_unreadable_message(case):
    case.compare_outcome(keyway.read_sealed_text, case["text"])


def check_unopened(case):
    case.compare_outcome(keyway.open_sealed, case.hex("message"), case.hex("sk"), case.hex("aad"))


# ------------------------------------------------------------------ runs.json


class WholeRun:
    """Both sides: what each computes from its mnemonic, the other's card and the transactions."""

    def __init__(self, case):
        self.case, self.chain = case, case["chain"]
        self.form = {"sequences": keyway.SEQUENCES, "amounts": keyway.AMOUNTS}[case["form"]]
        self.initiator, self.responder = (self.party(case[role]) for role in ("initiator", "responder"))
        self.ids = self.parties(case["offer"].hex("input0"))

    def party(self, party):
        seed = keyway.Seed(party["mnemonic"], self.chain)
        party.compare(identity_key=seed.identity_key, n=seed.negotiation(party["index"])[1])
        card = keyway.read_card(party["card"])
        owner = seed.chain_id, seed.identity_key, seed.sealing_key
        if (card.chain_id, card.identity_key, card.sealing_key) != owner:
            raise Different("the card is another party's")
        party.compare(
            permanent_digest=keyway.permanent_digest(card), card=keyway.card_text(card, seed.identity_secret)
        )
        return party

    def parties(self, input0):
        sides = self.initiator, self.responder
        keys, digests = ([side.hex(key) for side in sides] for key in ("identity_key", "permanent_digest"))
        return Parties(keyway.chain_id(self.chain), keyway.VALUE, *keys, *digests, input0)

    def check(self):
        self.check_offer(self.case["offer"])
        self.check_answer(self.case["answer"])
        self.case["keys"].compare(
            **{
                name: getattr(self.keys, name)
                for name in "responder_tag initiator_tag master_key exporter_key fingerprint".split()
            }
        )
        self.check_blocks(self.case["blocks"])
        for message in self.case["messages"]:
            self.check_message(message)

    def check_offer(self, offer):
        ids, price = self.ids, self.case["price"]
        message = keyway.make_offer(ids, self.form, keyway.X25519, self.initiator.hex("n"))
        binding = Binding(self.chain, ids.input0, ids.initiator_key, ids.responder_key)
        c = keyway.largest_c(self.chain, len(message), price)
        secret = keyway.initiator_secret(
            keyway.X25519, self.initiator.hex("n"), keyway.negotiation_id(ids), ids.responder_key
        )
        offer.compare(
            negotiation_id=keyway.negotiation_id(ids),
            share_secret=secret,
            message=message,
            checksum=keyway.value_checksum(binding, message),
            c=c,
            amounts=keyway.run_amounts(binding, message, price, c),
        )
        self.check_offer_tx(offer, Transaction(offer.hex("tx")))

    def check_offer_tx(self, offer, tx):
        author = keyway.author(tx, offer["input0_amount"])
        run = keyway.read_run(tx, self.chain, author, self.ids.responder_key)
        self.offer, self.txid = run, tx.txid()
        self.coins = [outpoint(self.txid, run.first + index) for index in range(len(run.amounts))]
        self.compare_author(author, self.ids.initiator_key)
        offer.compare(
            txid=self.txid, anchor=self.coins[0], input0=tx.inputs[0].outpoint,
            message=run.message, c=run.c, amounts=run.amounts,
        )  # fmt: skip

    def check_answer(self, answer):
        ids, n, offer = self.ids, self.responder.hex("n"), self.offer.message
        message, keys = keyway.answer_offer(ids, offer, self.coins[0], n)
        suite, theirs = keyway.read_offer(offer)[1:]
        arguments = n, keyway.negotiation_id(ids), self.coins[0], ids.initiator_key, theirs
        secret, _, shared = keyway.respond(suite, *arguments)
        answer.compare(
            message=message,
            share_secret=secret,
            shared_secret=shared,
            transcript=keys.transcript,
            prk=keys.prk,
            responder_tag_key=keys.responder_tag_key,
            initiator_tag_key=keys.initiator_tag_key,
        )
        tx = Transaction(answer.hex("tx"))
        for index, amount in enumerate(self.offer.amounts):
            self.compare_author(keyway.author(tx, amount, index), ids.responder_key)
        read = self.read_in_sequences if self.form == keyway.SEQUENCES else self.read_in_amounts
        found = read(answer, tx, message)
        answer.compare(txid=tx.txid(), sequences=[txin.sequence for txin in tx.inputs], message=found)
        self.keys = keyway.handle_answer(ids, offer, found, self.txid, self.initiator.hex("n"))

    def read_in_sequences(self, answer, tx, message):
        numbers = keyway.sequence_numbers(message, len(tx.inputs))
        answer.compare(sequences=numbers, checksum=None, c=None, amounts=[])
        return keyway.read_in_sequences(tx, self.coins, ANSWER_LEN)

    def read_in_amounts(self, answer, tx, message):
        price = keyway.least_price(self.chain, len(message))
        c = keyway.largest_c(self.chain, len(message), price)
        binding = Binding(self.chain, self.coins[0], self.ids.responder_key, self.ids.initiator_key)
        answer.compare(
            checksum=keyway.value_checksum(binding, message),
            c=c,
            amounts=keyway.run_amounts(binding, message, price, c),
        )
        sides = self.chain, self.ids.responder_key, self.ids.initiator_key
        back = keyway.read_in_amounts(tx, self.coins, ANSWER_LEN, *sides)
        answer.compare(c=back.c, amounts=back.amounts)
        return back.message

    def compare_author(self, found, expected):
        if found != expected:
            raise Different(f"speaks for {found.hex()} instead of {expected.hex()}")

    def check_blocks(self, blocks):
        ck = self.keys.master_key
        self.blocks = {}
        for nth, block in enumerate(blocks):
            height, block_hash = block["height"], block.hex("hash")
            ck = keyway.next_chain_key(ck, block_hash) if nth else ck
            sks = {role: keyway.session_key(ck, role, height) for role in (INITIATOR, RESPONDER)}
            block.compare(ck=ck, sk_initiator=sks[INITIATOR], sk_responder=sks[RESPONDER])
            self.blocks[height] = block_hash, sks

    def check_message(self, message):
        direction = {"initiator": INITIATOR, "responder": RESPONDER}[message["from"]]
        tag = self.keys.initiator_tag if direction == INITIATOR else None
        block_hash, sks = self.blocks[message["height"]]
        stream, counter = message.hex("stream"), message["counter"]
        id_ = keyway.negotiation_id(self.ids)
        envelope = Envelope(id_, message["height"], block_hash, stream, counter, tag)
        plaintext, aad = message.hex("plaintext"), message.hex("aad")
        message.compare(text=keyway.sealed_text(keyway.seal(envelope, sks[direction], plaintext, aad)))


# ------------------------------------------------------------------ beside.json


def check_group(case):
    def checked():
        keyway.check_group(keyway.read_group(case.hex("p"), case.hex("g")))

    case.compare_outcome(checked)
    try:
        group = keyway.read_group(case.hex("p"), case.hex("g"))
        case.compare(bits=keyway.number(group.p).bit_length(), digest=keyway.group_digest(group))
    except Refused:
        case.compare(bits=None, digest=None)


class BesidePayment:
    """A negotiation over the static or the dynamic carrier, each side from its own secrets."""

    def __init__(self, case):
        self.case, self.chain, self.suite, self.carrier = case, case["chain"], case["suite"], case["carrier"]
        self.seeds = {role: self.seed(case[role]) for role in ("initiator", "responder")}
        keys = [self.seeds[role].identity_key for role in ("initiator", "responder")]
        digests = [case[role].hex("permanent_digest") for role in ("initiator", "responder")]
        self.input0, self.anchor = case["offer"].hex("input0"), case["answer"].hex("anchor")
        self.ids = Parties(keyway.chain_id(self.chain), self.carrier, *keys, *digests, self.input0)
        self.group, self.fields = self.read_group(case["group"])

    def read_group(self, found):
        """The group that the offer brings, checked, and g and p as the offer has them."""
        if found is None:
            return None, (b"", b"")
        group = keyway.read_group(found.hex("p"), found.hex("g"))
        keyway.check_group(group)
        scripts = [script.hex() for script in keyway.published_scripts(group)]
        found.compare(outputs=scripts if self.suite == keyway.PUBLISHED else None)
        return group, keyway.group_fields(self.suite, group, found.hex("txid"))

    def share_a(self, secret):
        return keyway.share_in(self.group, secret) if self.group else keyway.share_a(self.suite, secret)

    def respond(self, n, id_):
        arguments = n, id_, self.anchor, self.ids.initiator_key
        if self.group is None:
            return keyway.respond(self.suite, *arguments, self.share)
        secret = keyway.derive(n, "ffdh share", *arguments[1:], length=64)
        return secret, self.share_a(secret), keyway.agree_in(self.group, secret, self.share)

    def agree(self, secret, share):
        if self.group is None:
            return keyway.agree(self.suite, secret, share)
        return keyway.agree_in(self.group, secret, share)

    def seed(self, party):
        seed = keyway.Seed(party["mnemonic"], self.chain)
        card = keyway.read_card(party["card"])
        digest = keyway.permanent_digest(card)
        party.compare(n=seed.negotiation(party["index"])[1], q=seed.prekeys(0), permanent_digest=digest)
        return seed

    def check(self):
        offer, answer = self.case["offer"], self.case["answer"]
        offer.compare(negotiation_id=keyway.negotiation_id(self.ids))
        secret = keyway.initiator_secret(
            self.suite, self.case["initiator"].hex("n"), keyway.negotiation_id(self.ids), self.ids.responder_key
        )
        self.share = self.share_a(secret)
        message = self.check_static(offer) if self.carrier == keyway.STATIC else self.check_dynamic(offer)
        n, id_ = self.case["responder"].hex("n"), keyway.negotiation_id(self.ids)
        _, share, shared = self.respond(n, id_)
        bare = share if self.carrier == keyway.DYNAMIC else self.dated(answer, share)
        keys = keyway.Keys(self.transcript(message, bare), self.contribution + shared)
        answer.compare(message=bare + keys.responder_tag)
        self.check_data(answer, False, self.anchor, bare + keys.responder_tag, n)
        if self.agree(secret, share) != shared:
            raise Different("the initiator has another secret")
        names = "transcript master_key fingerprint initiator_tag".split()
        self.case["keys"].compare(**{name: getattr(keys, name) for name in names})

    def transcript(self, message, bare):
        head = keyway.u8(self.suite)
        return keyway.transcript(self.ids, self.anchor[:32], message, bare, head)

    def dated(self, answer, share):
        return keyway.message_b(share, answer["timestamp"], self.suite)

    def check_static(self, offer):
        message = keyway.message_a(self.share, offer["timestamp"], self.suite, *self.fields)
        nothing = "timeout prekey prekey_id payment_secret lock_script lock_output".split()
        offer.compare(message=message, **dict.fromkeys(nothing))
        self.contribution = b""
        self.check_data(offer, True, self.input0, message, self.case["initiator"].hex("n"))
        return message

    def check_dynamic(self, offer):
        suite, n = self.suite, self.case["initiator"].hex("n")
        prekey = keyway.share_a(suite, keyway.prekey_secret(self.case["responder"].hex("q"), suite))
        ciphertext, raw = keyway.to_prekey(self.ids, suite, n, prekey)
        f = keyway.first_secret(self.ids, suite, prekey, self.share, ciphertext, raw)
        t = keyway.expand(f, "payment secret")
        self.contribution = keyway.expand(f, "key secret")
        id_ = keyway.prekey_id(suite, prekey)
        message = keyway.u8(suite) + id_ + keyway.u32(offer["timeout"]) + self.share + ciphertext
        if suite in keyway.FFDHE:
            lock, output = keyway.exponent_lock(self.ids, suite, self.share, t, offer["timeout"])
        else:
            lock = keyway.lock_script(self.ids, primitives.sha256(t), offer["timeout"])
            output = b"\x00\x20" + primitives.sha256(lock)
        offer.compare(
            prekey=prekey, prekey_id=id_, message=message, payment_secret=t, timestamp=None,
            lock_script=lock, lock_output=output,
        )  # fmt: skip
        self.case["answer"].compare(timestamp=None)
        self.check_data(offer, True, self.input0, message, n)
        return message

    def check_data(self, part, from_initiator, input0, message, n):
        if self.carrier == keyway.STATIC:
            to = self.seeds["responder" if from_initiator else "initiator"]
            letter = keyway.seal_letter(self.ids, from_initiator, input0, to.sealing_key, message, n)
            if keyway.open_letter(self.ids, from_initiator, input0, to.sealing_secret, letter) != message:
                raise Different("the letter does not open as it was sealed")
            message = letter
        own = self.ids.initiator_key if from_initiator else self.ids.responder_key
        envelope = keyway.envelope_script(own, message)
        part.compare(data_script=keyway.data_script(message), envelope_script=envelope)


# ------------------------------------------------------------------ envelopes.json


def check_written_envelope(case):
    case.compare(script=keyway.envelope_script(case.hex("author"), case.hex("message")))


def check_shown_envelope(case):
    arguments = Transaction(case.hex("tx")), case["amount"], case["chain"], case.hex("recipient")
    picks = {name: lambda read, name=name: getattr(read, name) for name in ("message", "price", "fund")}
    case.compare_outcome(keyway.read_beside, *arguments, **picks)


# ------------------------------------------------------------------ liveness.json


def liveness_script(case):
    return keyway.liveness_script(case.hex("negotiation"), case.hex("initiator"), case.hex("responder"))


def check_liveness_script(case):
    script, chain = liveness_script(case), keyway.CHAINS[case["chain"]]
    output = keyway.p2wsh(script)
    # A count, the empty element, a signature of at most 72 bytes, the script, each after its length.
    witness = 1 + 1 + (1 + 72) + (1 + len(script))
    address = primitives.segwit_address(chain.prefix, output[2:])
    case.compare(script=script, script_pubkey=output, address=address, amount=chain.floor, witness_bytes=witness)


def check_coin_spending(case):
    sides = {case.hex(side): side for side in ("initiator", "responder")}
    tx, script = Transaction(case.hex("tx")), liveness_script(case)
    case.compare(by=sides.get(keyway.coin_spender(tx, 0, script, case["amount"], sides)))


def check_lineage(case):
    places = [(tx["height"], tx["index"]) for tx in case["txs"]]
    if places != sorted(places):
        raise Different("the transactions are not in the chain's order")
    txs = [Transaction(tx.hex("tx")) for tx in case["txs"]]
    epochs = [(liveness_script(epoch), epoch["answer"]) for epoch in case["epochs"]]
    steps, live, revoked = keyway.lineage(epochs, txs)
    if [(step["tx"], step["what"]) for step in case["steps"]] != steps:
        raise Different(f"steps: {steps}")
    case.compare(live=[coin.hex() for coin in live])
    case.compare(revoked=[case["epochs"][epoch].hex("negotiation").hex() for epoch in revoked])


# ------------------------------------------------------------------ all of it

# ------------------------------------------------------------------ op_exponent.json


def check_operation(case):
    try:
        operands = case.hex("base"), case.hex("exponent"), case.hex("modulus")
        (result, price), error = op_exponent.exponentiate(*operands), None
    except op_exponent.Failed as failed:
        result, price, error = None, None, str(failed)
    case.compare(result=result, price=price, error=error)


def check_script(case):
    flags, script = case["flags"].split(","), op_exponent.assemble(case["script"])
    stack = [bytes.fromhex(item) for item in case["stack"]]
    spending = op_exponent.Tapscript(stack, script, "EXPONENT" in flags)
    case.compare(budget=spending.budget, error=spending.outcome())


# ------------------------------------------------------------------ evidence.json

TRUE_FILES = {}


def check_evidence(case):
    lines = TRUE_FILES[case["id"]] = case["lines"]
    said = evidence.Check(evidence.read("".join(line + "\n" for line in lines))).statement(1)
    for part, placed in (("offer", said.offer), ("answer", said.answer)):
        if placed is None:
            case.compare(**{part: None})
        else:
            case[part].compare(**placed._asdict())
    if said.coin is None:
        case.compare(liveness=None)
    else:
        case["liveness"].compare(outpoint=said.coin.outpoint, amount=said.coin.amount)
    if len(case["spendings"]) != len(said.spendings):
        raise Different(f"{len(said.spendings)} spendings")
    for spending, seen in zip(case["spendings"], said.spendings):
        spending["at"].compare(**seen.at._asdict())
        spending.compare(**{"by": seen.by, "from": seen.origin, "to": seen.to, "revokes": seen.revokes})
    case.compare(
        negotiation_id=said.id, initiator=said.names[0], responder=said.names[1], price=said.seen.price,
        carrier=said.seen.carrier, offer_commit=said.commit, transcript=said.transcript, tag_proven=int(said.tag),
        initiator_says=said.words.get("initiator"), responder_says=said.words.get("responder"),
        sessions=[key.hex() for key in said.sessions], depth=said.depth, suites=said.seen.suites,
    )  # fmt: skip


def check_forged_evidence(case):
    lines = list(TRUE_FILES[case["of"]])[:-1]
    for edit in case["edits"]:
        if "with" in edit.entries:
            lines[edit["line"] - 1] = edit["with"]
        else:
            at = edit["line"] - 1
            lines[at : at + edit["instead_of"]] = edit["lines"]
    entries = evidence.read(evidence.with_checksum(lines))
    case.compare_outcome(lambda: evidence.Check(entries).statement(case["depth"]))


# ------------------------------------------------------------------ all files


FILES = {
    "derivation.json": {"cases": check_derivation},
    "cards.json": {
        "valid": check_valid_card,
        "unreadable": check_unreadable_card,
        "reading": check_accepted_card,
    },
    "introductions.json": {
        "valid": check_introduction,
        "unreadable": check_unreadable_introduction,
        "choosing": check_choice,
    },
    "authorship.json": {"cases": check_authorship},
    "negotiation.json": {"answering": check_answering, "reading": check_reading_an_answer},
    "value.json": {
        "layouts": check_layout,
        "runs": check_run,
        "reading": check_reading_a_run,
        "sequences": check_sequences,
        "answers": check_collecting,
    },
    "sealed.json": {
        "sealed": check_sealed,
        "unreadable": check_unreadable_message,
        "unopened": check_unopened,
    },
    "groups.json": {"cases": check_group},
    "beside.json": {"cases": lambda case: BesidePayment(case).check()},
    "envelopes.json": {"written": check_written_envelope, "reading": check_shown_envelope},
    "liveness.json": {
        "scripts": check_liveness_script,
        "spendings": check_coin_spending,
        "lineages": check_lineage,
    },
    "evidence.json": {"valid": check_evidence, "refused": check_forged_evidence},
    "runs.json": {"cases": lambda case: WholeRun(case).check()},
    "op_exponent.json": {"operations": check_operation, "scripts": check_script},
}


def main():
    folder = Path(__file__).resolve().parent
    found = {path.name for path in folder.glob("*.json")}
    if found != set(FILES):
        sys.exit(f"vectors/ holds {sorted(found)}; this program checks {sorted(FILES)}")
    failures = sum(check_file(folder / name, sections) for name, sections in FILES.items())
    if failures:
        sys.exit(f"{failures} cases differ")


def check_file(path, sections):
    vectors = json.loads(path.read_text())
    if set(vectors) != set(sections):
        sys.exit(f"{path.name} holds {sorted(vectors)}; this program checks {sorted(sections)}")
    outcomes = [
        passes(f"{path.name}, {section}, {case['id']}", check, case)
        for section, check in sections.items()
        for case in vectors[section]
    ]
    print(f"{path.name}: {outcomes.count(True)} of {len(outcomes)} cases agree")
    return outcomes.count(False)


def passes(where, check, entries):
    case = Case(entries)
    try:
        check(case)
        case.assert_all_seen()
    except (Different, Refused, primitives.Invalid) as error:
        print(f"{where}: {type(error).__name__}: {error}")
        return False
    return True


if __name__ == "__main__":
    main()
