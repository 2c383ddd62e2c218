//! A car pays a charger, who answers: on a chain that is mined for the purpose, the same in every run.

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::merkle_tree::calculate_root;
use bitcoin::{
    Amount, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxMerkleNode, TxOut, Txid,
    Witness,
};
use keyway_carriers::script::liveness::lineage::Coin;
use keyway_carriers::script::liveness::{self, Liveness};
use keyway_carriers::script::lock::{Ends, Lock};
use keyway_carriers::script::{data, envelope};
use keyway_carriers::value::{self, UNUSED_SEQUENCE};
use keyway_chain::{BlockRef, Chain, Height, work};
use keyway_evidence::merkle::Branch;
use keyway_evidence::{Contents, Disclosures, Entry, Evidence, Headers, LEAD, SessionWord, Spending, Word};
use keyway_protocol::disclosure::{Claim, Subject};
use keyway_protocol::identity::{IdentitySecret, Seed};
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::{Agreed, Context, Draft, NegotiationId, Received, Role};
use keyway_protocol::prekey::FirstSecret;
use keyway_protocol::ratchet::{BestChain, Ratchet};
use keyway_protocol::suite::Suite;

use crate::party::{Party, coin, transaction};

const CAR: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const CHARGER: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
pub const PRICE: Amount = Amount::from_sat(250_000);
pub const COIN: Amount = Amount::from_sat(1_000_000);
pub const OFFERED: Height = Height::new(102);
pub const ANSWERED: Height = Height::new(104);
const LAST: u32 = 105;
const OFFERED_AT: u32 = 101;
const ANSWERED_AT: u32 = 103;
const TIMEOUT: Height = Height::new(250);

/// How the story runs.
#[derive(Clone, Copy)]
pub struct Plot {
    pub chain: &'static str,
    pub carrier: Carrier,
    pub suite: Suite,
    pub form: AnswerForm,
    pub enveloped: bool,
    /// Which of the car's coins it begins with: another one is another negotiation.
    pub coin: u8,
    /// What becomes of a liveness coin.
    pub life: Life,
}

/// What becomes of a liveness coin.
#[derive(Clone, Copy, PartialEq)]
pub enum Life {
    /// There is none.
    None,
    /// The answer creates one.
    Created,
    /// And it is moved, then spent.
    Ended,
    /// One is brought from another negotiation, and spent.
    Brought,
}

pub const VALUE: Plot = Plot {
    chain: "regtest",
    carrier: Carrier::Value,
    suite: Suite::X25519,
    form: AnswerForm::Sequences,
    enveloped: false,
    coin: 0x11,
    life: Life::None,
};
pub const STATIC: Plot = Plot { carrier: Carrier::Static, ..VALUE };

/// All of it: what is on the chain, and what both know.
pub struct Story {
    pub chain: Chain,
    pub car: Party,
    pub charger: Party,
    context: Context,
    draft: Draft,
    agreed: Option<Agreed>,
    answer: Option<keyway_protocol::message::Answer>,
    pub evidence: Evidence,
    /// All ids of the two blocks.
    pub blocks: [Vec<Txid>; 2],
}

impl Story {
    pub fn new(plot: Plot) -> Self {
        let chain = Chain::named(plot.chain).unwrap();
        let (car, charger) = (Party::new("car", CAR, &chain, 1), Party::new("charger", CHARGER, &chain, 2));
        let (initiator, responder) = (car.permanent.party_ref(), charger.permanent.party_ref());
        let context = Context { initiator, responder, input0: coin(plot.coin), carrier: plot.carrier };
        let draft = match plot.carrier {
            Carrier::Value => Draft::new(context, plot.suite, plot.form, &car.n),
            Carrier::Static => Draft::dated(context, plot.suite, OFFERED_AT, &car.n),
            _ => {
                let prekey = charger.prekeys.public(plot.suite);
                Draft::to_prekey(context, plot.suite, &prekey, TIMEOUT, &car.n).unwrap()
            }
        };
        let (offer, commit) = offer_of(&chain, &plot, &car, &charger, &draft);
        let anchor = OutPoint::new(offer.compute_txid(), 0);
        let first = (plot.carrier == Carrier::Dynamic).then(|| {
            let direction = context.letter(Role::Initiator, context.input0);
            FirstSecret::receive(&direction, draft.offer(), &charger.prekeys).unwrap()
        });
        let received = Received::new(context, draft.offer().clone(), anchor).at(ANSWERED_AT);
        let received = first.into_iter().fold(received, Received::with_first);
        let (message, agreed) = received.answer(&charger.n).unwrap();
        let bytes = if plot.carrier == Carrier::Static {
            let to = &car.permanent.sealing;
            Received::sealed(&context, anchor, &message, to, &charger.n).unwrap()
        } else {
            message.to_bytes()
        };
        let names = Liveness { negotiation: context.id(), initiator: car.key(), responder: charger.key() };
        let answer = answer_of(&plot, &names, (&charger, &car), &offer, &bytes, &chain);
        let blocks = [block_with(&offer, 2), block_with(&answer, 1)];
        let spent = spent(&chain, plot.life, &names, (&charger, &car), &answer);
        let headers = mined(&chain, &blocks, &spent);
        let spendings = spent.iter().map(Spent::shown).collect();
        let entry = |tx, height, txids: &[Txid], index, commit| {
            Entry::new(height, Branch::of(txids, index).unwrap(), tx, commit)
        };
        let evidence = Evidence {
            initiator: car.card.signed_permanent(),
            responder: charger.card.signed_permanent(),
            offer: entry(&offer, OFFERED, &blocks[0], 2, commit.as_ref()),
            coin: COIN,
            answer: Some(entry(&answer, ANSWERED, &blocks[1], 1, None)),
            spendings,
            disclosures: Disclosures::default(),
            headers,
            chain: chain.clone(),
        };
        let (agreed, answer) = (Some(agreed), Some(message));
        Self { chain, car, charger, context, draft, agreed, answer, evidence, blocks }
    }

    /// With all that both can disclose.
    pub fn disclosed(mut self) -> Self {
        let (agreed, answer) = (self.agreed.take().unwrap(), self.answer.take().unwrap());
        let anchor = OutPoint::new(self.evidence.offer.tx.compute_txid(), 0);
        let said = &mut self.evidence.disclosures;
        if self.context.carrier == Carrier::Static {
            let ephemeral = *self.draft.ephemeral(&self.car.n).expose();
            said.offer = Some(Contents { message: self.draft.offer().to_bytes(), ephemeral });
            let ephemeral = *Received::ephemeral(&self.context, anchor, &answer, &self.charger.n).expose();
            said.answer = Some(Contents { message: answer.to_bytes(), ephemeral });
        }
        said.tag_key = Some(*agreed.tag_key(Role::Responder).expose());
        let subject = Subject {
            chain: self.chain.id(),
            negotiation: self.context.id(),
            offer: anchor.txid,
            answer: self.evidence.answer.as_ref().unwrap().tx.compute_txid(),
        };
        let fingerprint = agreed.fingerprint();
        let word = |role, words: &str| {
            let signature =
                Claim::Fingerprint(fingerprint).sign(&subject, role, &identity(words, &self.chain));
            Some(Word { fingerprint, signature })
        };
        said.initiator = word(Role::Initiator, CAR);
        said.responder = word(Role::Responder, CHARGER);
        let (block, best) = (self.evidence.headers.block(ANSWERED).unwrap(), Shown(&self.evidence.headers));
        let session = Ratchet::start(block, agreed.master_key()).session(&best, block, Role::Initiator);
        let key = *session.unwrap().as_secret().expose();
        let claim = Claim::Session { block, sender: Role::Initiator, key };
        let signature = claim.sign(&subject, Role::Responder, &identity(CHARGER, &self.chain));
        let (by, sender) = (Role::Responder, Role::Initiator);
        said.sessions = vec![SessionWord { by, height: ANSWERED, sender, key, signature }];
        self
    }
}

/// The chain as far as a file shows it.
struct Shown<'a>(&'a Headers);

impl BestChain for Shown<'_> {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        self.0.block(height).map(|BlockRef { hash, .. }| hash)
    }

    fn tip(&self) -> Height {
        self.0.last()
    }
}

fn identity(words: &str, chain: &Chain) -> IdentitySecret {
    Seed::derive(&words.parse().unwrap(), chain).unwrap().identity
}

fn offer_of(
    chain: &Chain,
    plot: &Plot,
    car: &Party,
    charger: &Party,
    draft: &Draft,
) -> (Transaction, Option<Transaction>) {
    let input0 = coin(plot.coin);
    let message = draft.offer().to_bytes();
    let inputs = [(input0, UNUSED_SEQUENCE)];
    if plot.carrier == Carrier::Value {
        let (author, recipient) = (car.key(), charger.key());
        let binding = value::Binding { chain, input0, author, recipient };
        let mut outputs = value::run::write(&binding, &message, PRICE).unwrap();
        outputs.push(car.pay(700_000));
        let mut tx = transaction(&inputs, outputs);
        car.sign(&mut tx, &[COIN]);
        return (tx, None);
    }
    let (mut outputs, bytes) = if plot.carrier == Carrier::Dynamic {
        let direction = keyway_protocol::letter::Direction {
            chain: chain.id(),
            author: car.key(),
            recipient: charger.key(),
            input0,
        };
        let first = FirstSecret::receive(&direction, draft.offer(), &charger.prekeys).unwrap();
        let ends = Ends { responder: charger.key(), initiator: car.key(), timeout: TIMEOUT };
        let lock = Lock::new(&ends, first.condition(draft.offer()).unwrap()).unwrap();
        let anchored = chain.value_floor();
        (vec![charger.pay(anchored.to_sat()), lock.output(PRICE - anchored)], message)
    } else {
        let sealed = draft.sealed(&charger.permanent.sealing, &car.n).unwrap();
        (vec![charger.pay(PRICE.to_sat())], sealed)
    };
    if plot.enveloped {
        return enveloped(chain, plot, car, outputs, &bytes);
    }
    outputs.push(data::write(&bytes).unwrap());
    let mut tx = transaction(&inputs, outputs);
    tx.lock_time = LockTime::from_consensus(OFFERED_AT);
    car.sign(&mut tx, &[COIN]);
    (tx, None)
}

fn enveloped(
    chain: &Chain,
    plot: &Plot,
    car: &Party,
    outputs: Vec<TxOut>,
    bytes: &[u8],
) -> (Transaction, Option<Transaction>) {
    let script = envelope::write(car.key(), bytes).unwrap();
    let commit = transaction(&[(coin(0x77), UNUSED_SEQUENCE)], vec![envelope::output(chain, &script)]);
    let shown = OutPoint::new(commit.compute_txid(), 0);
    let inputs = [(coin(plot.coin), UNUSED_SEQUENCE), (shown, UNUSED_SEQUENCE)];
    let mut tx = transaction(&inputs, outputs);
    tx.lock_time = LockTime::from_consensus(OFFERED_AT);
    car.sign(&mut tx, &[COIN]);
    tx.input[1].witness = car.show(&tx, 1, &script, envelope::amount(chain));
    (tx, Some(commit))
}

/// Where a liveness coin was moved to, or came from; the charger began that one.
pub const OTHER: NegotiationId = NegotiationId::from_bytes([0x33; 32]);
const MOVED: Height = Height::new(105);
const REVOKED: Height = Height::new(106);

/// A transaction that spends a liveness coin.
struct Spent {
    height: Height,
    tx: Transaction,
    coin: Coin,
    known: bool,
    to: Option<NegotiationId>,
}

impl Spent {
    fn block(&self) -> Vec<Txid> {
        block_with(&self.tx, 3)
    }

    fn shown(&self) -> Spending {
        let way = (self.height, Branch::of(&self.block(), 3).unwrap());
        Spending::new(way, &self.tx, (&self.coin, self.known), self.to)
    }
}

/// The charger moves the coin, the car spends it.
fn spent(
    chain: &Chain,
    life: Life,
    names: &Liveness,
    (charger, car): (&Party, &Party),
    answer: &Transaction,
) -> Vec<Spent> {
    let other = Liveness { negotiation: OTHER, initiator: charger.key(), responder: car.key() };
    let amount = liveness::amount(chain);
    let (held, known, to) = match life {
        Life::None | Life::Created => return Vec::new(),
        Life::Ended => {
            let (vout, _) = names.find(answer).unwrap();
            (Coin::new(OutPoint::new(answer.compute_txid(), vout), amount, *names), true, other)
        }
        Life::Brought => (Coin::new(coin(0x66), amount, other), false, *names),
    };
    let mut moved =
        transaction(&[(held.outpoint, UNUSED_SEQUENCE)], vec![to.output(chain), charger.pay(5_000)]);
    moved.input[0].witness = charger.open(&moved, 0, &held.names, amount);
    let left = Coin::new(OutPoint::new(moved.compute_txid(), 0), amount, to);
    let inputs = [(coin(0x67), UNUSED_SEQUENCE), (left.outpoint, UNUSED_SEQUENCE)];
    let mut end = transaction(&inputs, vec![car.pay(9_000)]);
    end.input[1].witness = car.open(&end, 1, &to, amount);
    vec![
        Spent { height: MOVED, tx: moved, coin: held, known, to: Some(to.negotiation) },
        Spent { height: REVOKED, tx: end, coin: left, known: true, to: None },
    ]
}

fn answer_of(
    plot: &Plot,
    names: &Liveness,
    (charger, car): (&Party, &Party),
    offer: &Transaction,
    bytes: &[u8],
    chain: &Chain,
) -> Transaction {
    let txid = offer.compute_txid();
    let own: Vec<(u32, &TxOut)> = (0..)
        .zip(&offer.output)
        .filter(|(_, output)| output.script_pubkey == charger.key().script())
        .collect();
    let amounts: Vec<Amount> = own.iter().map(|(_, output)| output.value).collect();
    let anchored = own.iter().map(|(vout, _)| OutPoint::new(txid, *vout));
    let mut tx = match (plot.carrier, plot.form) {
        (Carrier::Value, AnswerForm::Sequences) => {
            let sequences = value::sequences::write(bytes, own.len()).unwrap();
            let inputs: Vec<(OutPoint, Sequence)> = anchored.zip(sequences).collect();
            transaction(&inputs, vec![charger.pay(240_000)])
        }
        (Carrier::Value, AnswerForm::Amounts) => {
            let inputs: Vec<_> = anchored.map(|outpoint| (outpoint, UNUSED_SEQUENCE)).collect();
            let (author, recipient) = (charger.key(), car.key());
            let binding = value::Binding { chain, input0: inputs[0].0, author, recipient };
            let mut outputs = value::amounts::write(&binding, bytes).unwrap();
            outputs.push(charger.pay(170_000));
            transaction(&inputs, outputs)
        }
        (carrier, _) => {
            let lock = (carrier == Carrier::Dynamic).then(|| OutPoint::new(txid, 1));
            let inputs: Vec<_> = anchored.take(1).chain(lock).map(|it| (it, UNUSED_SEQUENCE)).collect();
            transaction(&inputs, vec![charger.pay(248_000), data::write(bytes).unwrap()])
        }
    };
    if plot.carrier == Carrier::Static {
        tx.lock_time = LockTime::from_consensus(ANSWERED_AT);
    }
    if matches!(plot.life, Life::Created | Life::Ended) {
        tx.output.push(names.output(chain));
    }
    charger.sign(&mut tx, &amounts);
    tx
}

/// The ids of a block that has `tx` at `index`, and others.
fn block_with(tx: &Transaction, index: usize) -> Vec<Txid> {
    let mut txids: Vec<Txid> = (1..=4).map(|byte| Txid::from_byte_array([byte; 32])).collect();
    txids.insert(index, tx.compute_txid());
    txids
}

/// From ten below the offer's up, each with the least nonce that makes its work.
fn mined(chain: &Chain, blocks: &[Vec<Txid>; 2], spent: &[Spent]) -> Headers {
    let first = OFFERED.minus(LEAD);
    let mut parent = BlockHash::from_byte_array([0x5a; 32]);
    let mut headers = Vec::new();
    let last = spent.last().map_or(LAST, |spent| spent.height.to_u32() + 1);
    for height in (first.to_u32()..=last).map(Height::new) {
        let holds = |spent: &&Spent| spent.height == height;
        let txids = match height {
            OFFERED => blocks[0].clone(),
            ANSWERED => blocks[1].clone(),
            _ if spent.iter().any(|it| holds(&it)) => spent.iter().find(holds).unwrap().block(),
            _ => vec![Txid::from_byte_array([height.to_u32() as u8; 32])],
        };
        let root = calculate_root(txids.into_iter()).unwrap().to_byte_array();
        // Times go to and fro, as miners' do.
        let time = 1_767_225_600 + 600 * height.to_u32() - 700 * (height.to_u32() % 3);
        headers.push(worked(chain, parent, root, time));
        parent = headers.last().map(Header::block_hash).unwrap();
    }
    Headers::new(first, headers)
}

pub fn worked(chain: &Chain, parent: BlockHash, root: [u8; 32], time: u32) -> Header {
    let mut header = Header {
        version: Version::from_consensus(0x2000_0000),
        prev_blockhash: parent,
        merkle_root: TxMerkleNode::from_byte_array(root),
        time,
        bits: CompactTarget::from_consensus(0x207f_ffff),
        nonce: 0,
    };
    while work::check(&header, chain).is_err() {
        header.nonce += 1;
    }
    header
}

/// A transaction that is none of the story's.
pub fn stranger(script: ScriptBuf) -> Transaction {
    let output = vec![TxOut { value: Amount::from_sat(9_000), script_pubkey: script }];
    let mut tx = transaction(&[(coin(0x55), UNUSED_SEQUENCE)], output);
    tx.input[0].witness = Witness::from_slice(&[vec![0x30; 71], vec![2; 33]]);
    tx
}
