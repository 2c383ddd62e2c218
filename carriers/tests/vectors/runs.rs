//! Whole runs: from two mnemonics and the transactions to messages sealed under session keys.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{Amount, BlockHash, OutPoint, Sequence, Transaction, TxOut};
use keyway_carriers::value::{Binding, MessageLen, Run, UNUSED_SEQUENCE, amounts, run, sequences};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_protocol::authorship::Authored;
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received, Role};
use keyway_protocol::outpoint_bytes;
use keyway_protocol::ratchet::{BestChain, Ratchet};
use keyway_protocol::sealing::{Sealed, Stream, StreamId, seal};
use keyway_protocol::suite::Suite;
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::file;
use crate::json::{Json, hex, object};
use crate::kdf::{expand, extract};
use crate::party::{Party, coin, transaction};
use crate::value::checksum;

const CAR: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const CHARGER: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";

/// What differs between the runs.
struct Setup {
    id: &'static str,
    comment: &'static str,
    chain: &'static str,
    form: AnswerForm,
    price: u64,
    /// Indices of the negotiation secrets that the two take.
    indices: [u32; 2],
    /// Whether the offer's change stands before the run, and the answer spends a coin more.
    beside: bool,
    /// The answer's height.
    height: u32,
}

#[test]
fn the_vectors_of_whole_runs_are_what_the_code_gives() {
    let setups = [
        Setup {
            id: "sequences",
            comment: "the answer rides in sequence numbers",
            chain: "regtest",
            form: AnswerForm::Sequences,
            price: 250_000,
            indices: [0, 0],
            beside: false,
            height: 201,
        },
        Setup {
            id: "amounts",
            comment: "the answer rides in amounts; change before the run, and a coin more for the answer",
            chain: "regtest",
            form: AnswerForm::Amounts,
            price: 180_000,
            indices: [3, 1],
            beside: true,
            height: 60_000,
        },
        Setup {
            id: "litecoin",
            comment: "another chain id, floor and coin type",
            chain: "litecoin-regtest",
            form: AnswerForm::Sequences,
            price: 400_000,
            indices: [0, 5],
            beside: true,
            height: 512,
        },
        Setup {
            id: "widest",
            comment: "c = 30: the shortest run there is, whose every input carries bits of the answer",
            chain: "regtest",
            form: AnswerForm::Sequences,
            price: 20_000_000_000,
            indices: [1, 0],
            beside: false,
            height: 70_000,
        },
    ];
    let cases: Vec<Json> = setups.iter().map(whole_run).collect();
    file::check("runs.json", &object! { "cases": cases });
}

/// Both sides of a negotiation and what they see.
struct Two<'a> {
    setup: &'a Setup,
    chain: Chain,
    initiator: Party,
    responder: Party,
    context: Context,
}

fn whole_run(setup: &Setup) -> Json {
    let chain = Chain::named(setup.chain).unwrap();
    let initiator = Party::new("car", CAR, &chain, setup.indices[0]);
    let responder = Party::new("charger", CHARGER, &chain, setup.indices[1]);
    let context = Context {
        initiator: initiator.permanent.party_ref(),
        responder: responder.permanent.party_ref(),
        input0: coin(0x11),
        carrier: Carrier::Value,
    };
    let two = Two { setup, chain, initiator, responder, context };
    let draft = Draft::new(context, Suite::X25519, setup.form, &two.initiator.n);
    let offer_tx = two.offer(draft.offer());
    let authored = Authored::verify(&offer_tx, two.input0_amount()).unwrap();
    let run = run::read(&two.chain, &authored, two.responder.key()).unwrap().unwrap();
    let offer = Offer::from_bytes(Carrier::Value, run.message()).unwrap();
    let (answer, theirs) = Received::new(context, offer, run.anchor()).answer(&two.responder.n).unwrap();
    let answer_tx = two.answer(&run, &answer);
    assert_eq!(two.read(&answer_tx, &run), answer);
    let ours = draft.mined(run.anchor().txid).handle(&answer).unwrap();
    assert_eq!(ours.fingerprint(), theirs.fingerprint());
    object! {
        "id": setup.id,
        "comment": setup.comment,
        "chain": two.chain.name(),
        "price": setup.price,
        "form": match setup.form {
            AnswerForm::Sequences => "sequences",
            AnswerForm::Amounts => "amounts",
        },
        "initiator": party(&two.initiator),
        "responder": party(&two.responder),
        "offer": two.offer_json(&offer_tx, &run),
        "answer": two.answer_json(&answer_tx, &run, &answer, &ours),
        "keys": keys(&ours),
        "blocks": two.blocks(&ours),
        "messages": two.messages(&ours),
    }
}

fn party(party: &Party) -> Json {
    object! {
        "mnemonic": party.mnemonic.to_string(),
        "index": party.index,
        "n": hex(party.n.as_secret().expose()),
        "identity_key": hex(party.key().to_bytes()),
        "permanent_digest": hex(party.permanent.digest()),
        "card": party.card.to_string(),
    }
}

/// Transactions.
impl Two<'_> {
    fn input0_amount(&self) -> Amount {
        Amount::from_sat(self.setup.price + 300_000)
    }

    fn offer_binding(&self) -> Binding<'_> {
        let (author, recipient) = (self.initiator.key(), self.responder.key());
        Binding { chain: &self.chain, input0: self.context.input0, author, recipient }
    }

    fn offer(&self, offer: &Offer) -> Transaction {
        let price = Amount::from_sat(self.setup.price);
        let mut outputs = run::write(&self.offer_binding(), &offer.to_bytes(), price).unwrap();
        let place = if self.setup.beside { 0 } else { outputs.len() };
        outputs.insert(place, self.initiator.pay(290_000));
        let mut tx = transaction(&[(self.context.input0, UNUSED_SEQUENCE)], outputs);
        self.initiator.sign(&mut tx, &[self.input0_amount()]);
        tx
    }

    fn answer(&self, run: &Run, answer: &Answer) -> Transaction {
        let bytes = answer.to_bytes();
        let count = run.outpoints().len();
        let carrying = match self.setup.form {
            AnswerForm::Sequences => sequences::write(&bytes, count).unwrap(),
            AnswerForm::Amounts => vec![UNUSED_SEQUENCE; count],
        };
        let mut inputs: Vec<(OutPoint, Sequence)> = run.outpoints().zip(carrying).collect();
        let mut spent: Vec<Amount> = run.coins().map(|coin| coin.amount).collect();
        if self.setup.beside {
            inputs.push((coin(0x22), UNUSED_SEQUENCE));
            spent.push(Amount::from_sat(50_000));
        }
        let mut outputs = self.paid_back(run, &bytes);
        let back: Amount = outputs.iter().map(|output| output.value).sum();
        let rest = spent.iter().copied().sum::<Amount>() - back - Amount::from_sat(20_000);
        outputs.push(self.responder.pay(rest.to_sat()));
        let mut tx = transaction(&inputs, outputs);
        self.responder.sign(&mut tx, &spent);
        tx
    }

    fn paid_back(&self, offer: &Run, answer: &[u8]) -> Vec<TxOut> {
        match self.setup.form {
            AnswerForm::Sequences => Vec::new(),
            AnswerForm::Amounts => amounts::write(&self.answer_binding(offer), answer).unwrap(),
        }
    }

    fn answer_binding(&self, offer: &Run) -> Binding<'_> {
        let (author, recipient) = (self.responder.key(), self.initiator.key());
        Binding { chain: &self.chain, input0: offer.anchor(), author, recipient }
    }

    fn read(&self, tx: &Transaction, run: &Run) -> Answer {
        let anchor_amount = run.coins().next().unwrap().amount;
        let authored = Authored::verify(tx, anchor_amount).unwrap();
        assert_eq!(authored.author(), self.responder.key());
        let outpoints: Vec<OutPoint> = run.outpoints().collect();
        let len = MessageLen::new(Answer::len_of(Suite::X25519, Carrier::Value)).unwrap();
        let bytes = match self.setup.form {
            AnswerForm::Sequences => sequences::read(&authored, &outpoints, len).unwrap(),
            AnswerForm::Amounts => {
                let back = amounts::read(&self.chain, &authored, &outpoints, self.initiator.key(), len);
                back.unwrap().message().to_vec()
            }
        };
        Answer::from_bytes(Carrier::Value, &bytes).unwrap()
    }
}

/// Values.
impl Two<'_> {
    fn offer_json(&self, tx: &Transaction, run: &Run) -> Json {
        let secret = self.share_secret(Role::Initiator, run.anchor());
        let offer = Offer::from_bytes(Carrier::Value, run.message()).unwrap();
        assert_eq!(PublicKey::from(&StaticSecret::from(secret)).as_bytes()[..], *offer.share());
        object! {
            "input0": hex(outpoint_bytes(self.context.input0)),
            "input0_amount": self.input0_amount().to_sat(),
            "negotiation_id": hex(self.context.id().as_bytes()),
            "share_secret": hex(secret),
            "message": hex(run.message()),
            "checksum": hex(checksum(&self.offer_binding(), run.message())),
            "c": run.layout().bits().get(),
            "amounts": Json::numbers(run.coins().map(|coin| coin.amount.to_sat())),
            "txid": hex(tx.compute_txid()),
            "anchor": hex(outpoint_bytes(run.anchor())),
            "tx": serialize_hex(tx),
        }
    }

    fn answer_json(&self, tx: &Transaction, run: &Run, answer: &Answer, agreed: &Agreed) -> Json {
        let secret = self.share_secret(Role::Responder, run.anchor());
        let own = StaticSecret::from(secret);
        assert_eq!(PublicKey::from(&own).as_bytes()[..], *answer.share());
        let theirs: [u8; 32] = run.message()[1..].try_into().unwrap();
        let shared = own.diffie_hellman(&PublicKey::from(theirs)).to_bytes();
        let prk = extract(agreed.transcript().as_bytes(), &shared);
        assert_eq!(expand(&prk, "master key", &[]), *agreed.master_key().as_secret().expose());
        let in_amounts = self.paid_back(run, &answer.to_bytes());
        let layout = run::read(&self.chain, &self.authored(tx, run), self.initiator.key()).unwrap();
        object! {
            "share_secret": hex(secret),
            "shared_secret": hex(shared),
            "transcript": hex(agreed.transcript().as_bytes()),
            "prk": hex(prk),
            "responder_tag_key": hex(expand(&prk, "confirm responder", &[])),
            "initiator_tag_key": hex(expand(&prk, "confirm initiator", &[])),
            "message": hex(answer.to_bytes()),
            "sequences": Json::numbers(tx.input.iter().map(|input| input.sequence.0)),
            "checksum": layout.as_ref().map(|_| hex(checksum(&self.answer_binding(run), &answer.to_bytes()))),
            "c": layout.as_ref().map(|run| Json::from(run.layout().bits().get())),
            "amounts": Json::numbers(in_amounts.iter().map(|output| output.value.to_sat())),
            "txid": hex(tx.compute_txid()),
            "tx": serialize_hex(tx),
        }
    }

    fn authored<'tx>(&self, tx: &'tx Transaction, run: &Run) -> Authored<'tx> {
        Authored::verify(tx, run.coins().next().unwrap().amount).unwrap()
    }

    /// Derive("x25519 share") of PROTOCOL.md 3.2.
    fn share_secret(&self, role: Role, anchor: OutPoint) -> [u8; 32] {
        let anchor = outpoint_bytes(anchor);
        let (n, anchor, recipient): (_, &[u8], _) = match role {
            Role::Initiator => (&self.initiator.n, &[], self.responder.key()),
            Role::Responder => (&self.responder.n, &anchor, self.initiator.key()),
        };
        let (id, recipient, nothing) = (self.context.id(), recipient.to_bytes(), Sha256::digest(b""));
        let parts = [b"x25519 share", &id.as_bytes()[..], anchor, &recipient, &[], &nothing];
        expand(n.as_secret().expose(), "derive", &parts)
    }

    /// ck and sk of the answer's block and three more.
    fn blocks(&self, agreed: &Agreed) -> Vec<Json> {
        let (chain, ratchet) = self.ratchet(agreed);
        let mut ck = *agreed.master_key().as_secret().expose();
        let key = |block, role| hex(ratchet.session(&chain, block, role).unwrap().as_secret().expose());
        let block = |height| {
            let block = chain.block(height);
            if height > self.setup.height {
                ck = extract(block.hash.as_byte_array(), &ck);
            }
            object! {
                "height": height,
                "hash": hex(block.hash.as_byte_array()),
                "ck": hex(ck),
                "sk_initiator": key(block, Role::Initiator),
                "sk_responder": key(block, Role::Responder),
            }
        };
        (self.setup.height..=chain.0.to_u32()).map(block).collect()
    }

    /// One message of each side, under successive blocks.
    fn messages(&self, agreed: &Agreed) -> Vec<Json> {
        let (chain, ratchet) = self.ratchet(agreed);
        let message = |from: Role, height: u32, plaintext: &[u8], aad: &[u8]| {
            let (name, tag, stream) = match from {
                Role::Initiator => {
                    ("initiator", Some(agreed.tag(Role::Initiator)), StreamId::from_bytes([1; 16]))
                }
                Role::Responder => ("responder", None, StreamId::from_bytes([2; 16])),
            };
            let block = chain.block(height);
            let key = ratchet.session(&chain, block, from).unwrap();
            let sealed =
                seal(&mut Stream::new(stream), agreed.id(), block, tag, &key, plaintext, aad).unwrap();
            let read = Sealed::from_bytes(&sealed.to_bytes()).unwrap();
            assert_eq!(*read.open(&key, aad).unwrap(), plaintext);
            object! {
                "from": name,
                "height": height,
                "stream": hex(stream.as_bytes()),
                "counter": 0u64,
                "plaintext": hex(plaintext),
                "aad": hex(aad),
                "text": sealed.to_string(),
            }
        };
        vec![
            message(Role::Initiator, self.setup.height, b"charge 11 kW", b""),
            message(Role::Responder, self.setup.height + 1, b"begun at 07:12", b"meter 7"),
        ]
    }

    fn ratchet(&self, agreed: &Agreed) -> (Blocks, Ratchet) {
        let chain = Blocks(Height::new(self.setup.height + 3));
        let first = chain.block(self.setup.height);
        (chain, Ratchet::start(first, agreed.master_key()))
    }
}

fn keys(agreed: &Agreed) -> Json {
    object! {
        "responder_tag": hex(agreed.tag(Role::Responder).as_bytes()),
        "initiator_tag": hex(agreed.tag(Role::Initiator).as_bytes()),
        "master_key": hex(agreed.master_key().as_secret().expose()),
        "exporter_key": hex(agreed.exporter_key().expose()),
        "fingerprint": hex(agreed.fingerprint().as_bytes()),
    }
}

/// A chain up to this tip, whose blocks' hashes are hashes of their heights.
struct Blocks(Height);

impl Blocks {
    fn block(&self, height: u32) -> BlockRef {
        let height = Height::new(height);
        BlockRef::new(height, self.hash_at(height).unwrap())
    }
}

impl BestChain for Blocks {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        let hash = sha256d::Hash::hash(&height.to_u32().to_be_bytes());
        (height <= self.0).then(|| BlockHash::from_byte_array(hash.to_byte_array()))
    }

    fn tip(&self) -> Height {
        self.0
    }
}
