//! The charger: what a hostile peer pays, answers and seals.

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, ecdsa};
use keyway_carriers::script::data;
use keyway_carriers::script::lock::{Ends, Lock};
use keyway_carriers::value;
use keyway_chain::{BlockRef, Chain, Height};
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::letter;
use keyway_protocol::message::{AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received, Role};
use keyway_protocol::ratchet::{BestChain, Ratchet};
use keyway_protocol::sealing::{Stream, StreamId, seal};
use keyway_protocol::secret::Secret;
use keyway_protocol::suite::Suite;

use super::{Bytes, Case};

/// What a coin of the charger holds.
const COIN: Amount = Amount::from_sat(100_000_000);
/// A transaction is changed so often at most.
const MOST_CHANGES: usize = 3;

impl Case {
    /// A payment of the charger to the car with an offer in it, changed.
    pub(super) fn charger_offers(&mut self, way: u8, bytes: &mut Bytes<'_>) {
        let (input0, secret) = (self.next_coin(), self.secret());
        let context = self.context(Role::Responder, input0, Carrier::Value);
        let price = bytes.price();
        let offered = match way % 3 {
            0 => self.run(context, &secret, price),
            1 => self.sealed(context, &secret, price, u32::from(way)),
            _ => self.locked(context, &secret, price, bytes),
        };
        let Some((outputs, lock_time)) = offered else { return };
        let changes = changes(way > 8, bytes);
        self.post(&[input0], outputs, lock_time, &changes);
    }

    fn run(&self, context: Context, secret: &NegotiationSecret, price: Amount) -> Option<(Vec<TxOut>, u32)> {
        let chain = Chain::regtest();
        let draft = Draft::new(context, Suite::X25519, AnswerForm::Sequences, secret);
        let (author, recipient) = (context.initiator.key, context.responder.key);
        let binding = value::Binding { chain: &chain, input0: context.input0, author, recipient };
        Some((value::run::write(&binding, &draft.offer().to_bytes(), price).ok()?, 0))
    }

    fn sealed(
        &self,
        context: Context,
        secret: &NegotiationSecret,
        price: Amount,
        timestamp: u32,
    ) -> Option<(Vec<TxOut>, u32)> {
        let context = Context { carrier: Carrier::Static, ..context };
        let car = self.party.as_ref()?.card().permanent();
        let draft = Draft::dated(context, Suite::X25519, timestamp, secret);
        let message = draft.sealed(&car.sealing, secret).ok()?;
        let paid = TxOut { value: price, script_pubkey: car.key.script() };
        Some((vec![paid, data::write(&message).ok()?], timestamp))
    }

    fn locked(
        &self,
        context: Context,
        secret: &NegotiationSecret,
        price: Amount,
        bytes: &mut Bytes<'_>,
    ) -> Option<(Vec<TxOut>, u32)> {
        let context = Context { carrier: Carrier::Dynamic, ..context };
        let card = self.party.as_ref()?.card();
        let suite = Suite::X25519;
        let prekey = card.renewable().prekeys.iter().find(|prekey| prekey.suite == suite.number())?;
        let timeout = BestChain::tip(&self.ledger).plus(u32::from(bytes.or_zero()));
        let draft = Draft::to_prekey(context, suite, &prekey.key, timeout, secret).ok()?;
        let ends = Ends { responder: context.responder.key, initiator: context.initiator.key, timeout };
        let lock = Lock::new(&ends, draft.first()?.condition(draft.offer()).ok()?).ok()?;
        let anchor = TxOut { value: Amount::from_sat(1_000), script_pubkey: context.responder.key.script() };
        let message = data::write(&draft.offer().to_bytes()).ok()?;
        Some((vec![anchor, message, lock.output(price)], 0))
    }

    /// The charger's answer to one of the car's newest offers, over the value or the static carrier, changed in half of the ways.
    pub(super) fn charger_answers(&mut self, way: u8, bytes: &mut Bytes<'_>) {
        let Some(tx) = self.offers.iter().nth_back(usize::from(way / 2)).cloned() else { return };
        let Some(coin) = tx.input.first().and_then(|input| self.ledger.output(&input.previous_output)) else {
            return;
        };
        let Ok(authored) = Authored::verify(&tx, coin.value) else { return };
        let answered = self.answer_run(&authored).or_else(|| self.answer_letter(&authored));
        let Some((inputs, sequences, outputs, agreed)) = answered else { return };
        self.keys.push(agreed);
        let changes = changes(way % 2 == 1, bytes);
        self.post_with(&inputs, &sequences, outputs, 0, &changes);
    }

    fn answer_run(&self, offer: &Authored<'_>) -> Option<Answered> {
        let read = value::run::read(&Chain::regtest(), offer, self.charger.identity.party());
        let run = read.ok().flatten()?;
        let message = Offer::from_bytes(Carrier::Value, run.message()).ok()?;
        let context = self.context(Role::Initiator, offer.input0(), Carrier::Value);
        let form = message.form();
        let (answer, agreed) = Received::new(context, message, run.anchor()).answer(&self.secret()).ok()?;
        let outpoints: Vec<OutPoint> = run.outpoints().collect();
        let (sequences, outputs) = match form {
            AnswerForm::Sequences => {
                (value::sequences::write(&answer.to_bytes(), outpoints.len()).ok()?, self.to_itself())
            }
            AnswerForm::Amounts => {
                let chain = Chain::regtest();
                let (author, recipient) = (context.responder.key, context.initiator.key);
                let binding = value::Binding { chain: &chain, input0: run.anchor(), author, recipient };
                let outputs = value::amounts::write(&binding, &answer.to_bytes()).ok()?;
                (vec![Sequence(0xffff_fffd); outpoints.len()], outputs)
            }
        };
        Some((outpoints, sequences, outputs, agreed))
    }

    fn answer_letter(&self, offer: &Authored<'_>) -> Option<Answered> {
        let context = self.context(Role::Initiator, offer.input0(), Carrier::Static);
        let sealed = offer.tx().output.iter().find(|output| output.script_pubkey.is_op_return())?;
        let direction = context.letter(Role::Initiator, offer.input0());
        let opened = letter::open(&direction, &self.charger.sealing, data::read(sealed).ok()?).ok()?;
        let message = Offer::from_bytes(Carrier::Static, &opened).ok()?;
        let script = self.charger.identity.party().script();
        let vout = offer.tx().output.iter().position(|output| output.script_pubkey == script)?;
        let anchor = offer.outpoint(u32::try_from(vout).ok()?);
        let secret = self.secret();
        let (answer, agreed) = Received::new(context, message, anchor).answer(&secret).ok()?;
        let car = self.party.as_ref()?.card().permanent();
        let sealed = Received::sealed(&context, anchor, &answer, &car.sealing, &secret).ok()?;
        let mut outputs = self.to_itself();
        outputs.push(data::write(&sealed).ok()?);
        Some((vec![anchor], vec![Sequence(0xffff_fffd)], outputs, agreed))
    }

    fn to_itself(&self) -> Vec<TxOut> {
        vec![TxOut { value: Amount::from_sat(10_000), script_pubkey: self.charger.identity.party().script() }]
    }

    /// Something spends a coin that the party sent or was paid.
    pub(super) fn spend_otherwise(&mut self, way: u8, bytes: &mut Bytes<'_>) {
        let Some(tx) = self.offers.iter().nth_back(usize::from(way / 2)) else { return };
        let index = usize::from(bytes.or_zero());
        let outpoint = if way.is_multiple_of(2) {
            let input = index.checked_rem(tx.input.len()).and_then(|at| tx.input.get(at));
            input.map(|input| input.previous_output)
        } else {
            index.checked_rem(tx.output.len()).map(|at| OutPoint::new(tx.compute_txid(), at as u32))
        };
        let outputs = self.to_itself();
        if let Some(outpoint) = outpoint {
            self.post(&[outpoint], outputs, 0, &[]);
        }
    }

    /// Seals under one of the newest keys: from which block below the tip on (the next byte's high half), and for which above that
    /// (its low half).
    pub(super) fn charger_seals(&mut self, way: u8, bytes: &mut Bytes<'_>) {
        let Some(agreed) = self.keys.iter().nth_back(usize::from(way)) else { return };
        let places = bytes.or_zero();
        let tip = BestChain::tip(&self.ledger);
        let first = tip.minus(u32::from(places / 16));
        let block = first.plus(u32::from(places % 16)).min(tip);
        let place = |height: Height| self.ledger.hash_at(height).map(|hash| BlockRef::new(height, hash));
        let (Some(first), Some(block)) = (place(first), place(block)) else { return };
        let ratchet = Ratchet::start(first, agreed.master_key());
        let Ok(session) = ratchet.session(&self.ledger, block, agreed.role()) else { return };
        self.sent_streams = self.sent_streams.wrapping_add(1);
        let mut stream = Stream::new(StreamId::from_bytes([self.sent_streams; 16]));
        let tag = (agreed.role() == Role::Initiator).then(|| agreed.tag(Role::Initiator));
        let message = seal(&mut stream, agreed.id(), block, tag, &session, b"started", b"");
        self.letters.extend(message.map(|message| message.to_bytes()));
    }

    pub(super) fn post(
        &mut self,
        inputs: &[OutPoint],
        outputs: Vec<TxOut>,
        lock_time: u32,
        changes: &[Change],
    ) {
        let sequences = vec![Sequence(0xffff_fffd); inputs.len()];
        self.post_with(inputs, &sequences, outputs, lock_time, changes);
    }

    /// Puts a transaction of the charger among the unmined ones, changed. It is signed before or after that.
    fn post_with(
        &mut self,
        inputs: &[OutPoint],
        sequences: &[Sequence],
        output: Vec<TxOut>,
        lock_time: u32,
        changes: &[Change],
    ) {
        let input = |(&previous_output, &sequence): (&OutPoint, &Sequence)| TxIn {
            previous_output,
            sequence,
            ..TxIn::default()
        };
        let mut tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::from_consensus(lock_time),
            input: inputs.iter().zip(sequences).map(input).collect(),
            output,
        };
        let spent = self.spent(inputs);
        self.sign(&mut tx, &spent);
        changes.iter().for_each(|change| change.make(&mut tx));
        if changes.last().is_some_and(Change::is_signed) {
            self.sign(&mut tx, &spent);
        }
        self.ledger.tell(tx);
    }

    /// What coins hold. Who made one that the node refused is not asked: it is signed as if it were the charger's.
    fn spent(&self, inputs: &[OutPoint]) -> Vec<TxOut> {
        inputs.iter().map(|input| self.ledger.output(input).unwrap_or_else(|| self.coin())).collect()
    }

    fn coin(&self) -> TxOut {
        TxOut { value: COIN, script_pubkey: self.charger.identity.party().script() }
    }

    fn sign(&self, tx: &mut Transaction, spent: &[TxOut]) {
        let party = self.charger.identity.party();
        let Some(coin) = spent.first() else { return };
        let digest = SighashCache::new(&*tx).p2wpkh_signature_hash(
            0,
            &party.script(),
            coin.value,
            EcdsaSighashType::All,
        );
        let Ok(digest) = digest else { return };
        let signature: ecdsa::Signature = self.charger.identity.sign_input(digest);
        if let Some(input) = tx.input.first_mut() {
            input.witness = Witness::p2wpkh(&signature, &party.to_public_key());
        }
    }

    fn next_coin(&mut self) -> OutPoint {
        self.coins += 1;
        let mut txid = [0xc0; 32];
        txid[..4].copy_from_slice(&self.coins.to_be_bytes());
        self.given(Txid::from_byte_array(txid))
    }

    /// A coin of the charger, from nowhere.
    pub(super) fn given(&self, txid: Txid) -> OutPoint {
        let outpoint = OutPoint::new(txid, 0);
        self.ledger.know([(outpoint, self.coin())]);
        outpoint
    }

    /// The charger's secret for its next negotiation. Its answers to one offer are the same.
    fn secret(&self) -> NegotiationSecret {
        NegotiationSecret::from_secret(Secret::fill_with(|bytes| bytes.fill(7)))
    }

    fn context(&self, car: Role, input0: OutPoint, carrier: Carrier) -> Context {
        let own = self.party.as_ref().expect("it runs").card().permanent().party_ref();
        let charger = self.charger_card.permanent().party_ref();
        let (initiator, responder) = match car {
            Role::Initiator => (own, charger),
            Role::Responder => (charger, own),
        };
        Context { initiator, responder, input0, carrier }
    }
}

type Answered = (Vec<OutPoint>, Vec<Sequence>, Vec<TxOut>, Agreed);

/// A change of a transaction.
pub(super) struct Change {
    /// Of what, whether it is signed then, and whether another follows.
    what: u8,
    which: u8,
    xor: u8,
    at: u8,
}

/// No changes, or those that the bytes say.
fn changes(any: bool, bytes: &mut Bytes<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut more = any;
    while more && changes.len() < MOST_CHANGES {
        let [what, which, xor, at] = [(); 4].map(|()| bytes.or_zero());
        changes.push(Change { what, which, xor, at });
        more = what >= 128;
    }
    changes
}

impl Change {
    fn is_signed(&self) -> bool {
        self.what & 0x60 != 0x60
    }

    fn make(&self, tx: &mut Transaction) {
        let which = usize::from(self.which);
        let output = which.checked_rem(tx.output.len()).unwrap_or_default();
        let input = which.checked_rem(tx.input.len()).unwrap_or_default();
        let flip = u32::from(self.xor).rotate_left(u32::from(self.at % 32));
        match self.what % 32 % 6 {
            0 => {
                if let Some(output) = tx.output.get_mut(output) {
                    output.value = Amount::from_sat(output.value.to_sat() ^ u64::from(flip));
                }
            }
            1 => {
                if let Some(input) = tx.input.get_mut(input) {
                    input.sequence = Sequence(input.sequence.0 ^ flip);
                }
            }
            2 => tx.lock_time = LockTime::from_consensus(tx.lock_time.to_consensus_u32() ^ flip),
            3 => {
                if let Some(output) = tx.output.get_mut(output) {
                    let mut script = output.script_pubkey.to_bytes();
                    let at = usize::from(self.at) % script.len().max(1);
                    if let Some(byte) = script.get_mut(at) {
                        *byte ^= self.xor;
                    }
                    output.script_pubkey = ScriptBuf::from_bytes(script);
                }
            }
            4 => tx.output.rotate_left(output),
            _ => {
                if tx.output.len() > 1 {
                    tx.output.remove(output);
                }
            }
        }
    }
}
