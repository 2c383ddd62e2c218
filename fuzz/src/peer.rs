//! A whole party, driven by bytes: a node that lies, a peer that is hostile, and a person who types commands.
//!
//! Input: actions, each a number (u8) and what it takes (see [`Case::act`]). The party is the home whose store is
//! [`SOUND`](crate::store_file::SOUND), a car that has agreed on a key with a charger; the charger's part is played here. What the party
//! hears of the chain is checked by nobody ([`Hearsay`]).

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, FeeRate, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, ecdsa,
};
use keyway_carriers::script::data;
use keyway_carriers::script::lock::{Ends, Lock};
use keyway_carriers::value;
use keyway_chain::{BlockRef, Chain, Height};
use keyway_node::{NodeError, OfferRequest, Outside, Party, Unlock};
use keyway_protocol::authorship::Authored;
use keyway_protocol::card::Card;
use keyway_protocol::identity::{NegotiationSecret, Seed};
use keyway_protocol::letter;
use keyway_protocol::message::{AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received, Role};
use keyway_protocol::ratchet::{BestChain, Ratchet};
use keyway_protocol::sealing::{Sealed, Stream, StreamId, seal};
use keyway_protocol::secret::Secret;
use keyway_protocol::suite::Suite;

use crate::hearsay::{Answers, Hearsay};
use crate::stage::{MEMORY, Stage};
use crate::store_file::SOUND;

/// More take the fuzzer long, and show little that these do not.
const MOST_ACTIONS: usize = 20;
const CHARGER: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
/// What a coin of the charger holds.
const COIN: Amount = Amount::from_sat(100_000_000);
/// What the party's large coins hold: more than a block brings.
const LARGE: Amount = Amount::from_sat(10_000_000_000);
const COINS: usize = 12;
/// The block that holds the home's first offer. Those below it, a hundred to let a reward mature, take longer to read than a life.
const FIRST_OFFER: u32 = 105;

/// Does what these bytes describe and holds the party to its promises.
pub fn peer(data: &[u8]) {
    live(data);
}

/// How many letters of the charger the party opened in the life that these bytes describe.
pub fn live(data: &[u8]) -> usize {
    let (mut case, mut bytes) = (Case::begin(), Bytes(data));
    for _ in 0..MOST_ACTIONS {
        let Some(action) = bytes.byte() else { break };
        if case.act(action, &mut bytes) {
            case.look();
        }
    }
    case.end();
    case.opened
}

/// What is left of the input; at its end everything is zero.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn or_zero(&mut self) -> u8 {
        self.byte().unwrap_or_default()
    }

    fn number(&mut self) -> u32 {
        [0; 4].map(|_: u8| self.or_zero()).into_iter().fold(0, |number, byte| number << 8 | u32::from(byte))
    }

    /// Changes of some bytes: how many (u8), then which (u8, and u8 above it) and what is xored to each (u8).
    fn change(&mut self, bytes: &mut [u8]) {
        for _ in 0..self.or_zero() % 4 {
            let at = usize::from(self.or_zero()) << 8 | usize::from(self.or_zero());
            let flip = self.or_zero();
            if let Some(byte) = at.checked_rem(bytes.len()).and_then(|at| bytes.get_mut(at)) {
                *byte ^= flip;
            }
        }
    }
}

/// The party and all around it.
struct Case {
    party: Option<Party>,
    ledger: Hearsay,
    charger: &'static Seed,
    charger_card: Card,
    /// What the party handed over, as far as it was looked at.
    seen: usize,
    /// The party's offers to the charger.
    offers: Vec<Transaction>,
    /// The keys that the charger has.
    keys: Vec<Agreed>,
    letters: Vec<Vec<u8>>,
    coins: u32,
    sent_streams: u8,
    opened: usize,
}

fn outside() -> Outside {
    static COUNTER: Mutex<u64> = Mutex::new(0);
    // Never twice the same in a process, and nothing depends on it but the names of streams.
    let random = |bytes: &mut [u8]| {
        let mut counter = COUNTER.lock().expect("no panic holds it");
        *counter += 1;
        bytes.iter_mut().zip(counter.to_be_bytes().iter().cycle()).for_each(|(byte, drawn)| *byte = *drawn);
    };
    Outside::simulated(random, MEMORY)
}

fn stage() -> MutexGuard<'static, Stage> {
    static STAGE: LazyLock<Mutex<Stage>> = LazyLock::new(|| {
        let stage = Stage::with(SOUND);
        stage.forget_below(FIRST_OFFER);
        Mutex::new(stage)
    });
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open() -> Party {
    let stage = stage();
    Party::open_from(stage.home(), &Unlock::Insecure, &outside())
        .expect("a home that no other program touched")
}

/// Derived once: 2,048 rounds of hashing are as much work as several actions.
fn charger_seed() -> &'static Seed {
    static SEED: LazyLock<Seed> = LazyLock::new(|| {
        let mnemonic: bip39::Mnemonic = CHARGER.parse().expect("words");
        Seed::derive(&mnemonic, &Chain::regtest()).expect("a mnemonic gives a seed")
    });
    &SEED
}

/// The places of the blocks that a party has followed.
fn followed(party: &Party) -> impl Iterator<Item = BlockRef> + '_ {
    let blocks = std::iter::successors(Some(party.tip().height), |height: &Height| height.prev());
    blocks.map_while(|height| party.block(height).map(|block| block.at))
}

impl Case {
    fn begin() -> Self {
        // Once: every life begins with the same coins.
        static FUNDED: LazyLock<Hearsay> = LazyLock::new(|| {
            let party = open();
            let ledger = Hearsay::above(Chain::regtest(), followed(&party));
            let mut case = Case::of(party, ledger);
            case.fund();
            stage().keep();
            case.ledger
        });
        let ledger = FUNDED.clone();
        stage().put_back();
        Self::of(open(), ledger)
    }

    fn of(party: Party, ledger: Hearsay) -> Self {
        let charger_card = party.peers().first().cloned().expect("the home has a peer");
        Self {
            ledger,
            charger: charger_seed(),
            charger_card,
            party: Some(party),
            seen: 0,
            offers: Vec::new(),
            keys: Vec::new(),
            letters: Vec::new(),
            coins: 0,
            sent_streams: 0,
            opened: 0,
        }
    }

    /// Coins that the ledger knows too; an offer begins with the largest.
    fn fund(&mut self) {
        let script_pubkey = self.party().key().script();
        let coins = vec![TxOut { value: LARGE, script_pubkey }; COINS];
        self.post(&[OutPoint::new(Txid::all_zeros(), 0)], coins, 0, &mut Bytes(&[]));
        self.ledger.mine();
        self.sync();
    }

    fn party(&mut self) -> &mut Party {
        self.party.as_mut().expect("it runs")
    }

    /// Does one thing. Says whether the party had a part in it: else there is nothing new to see.
    fn act(&mut self, action: u8, bytes: &mut Bytes<'_>) -> bool {
        let action = action % 16;
        match action {
            0 | 1 => self.sync(),
            2 => self.ledger.mine(),
            3 => self.ledger.mine_empty(match bytes.or_zero() {
                255 => 100,
                254 => 1_008,
                blocks => 1 + u32::from(blocks % 8),
            }),
            4 => self.ledger.roll_back(usize::from(bytes.or_zero() % 32), bytes.or_zero() % 2 == 1),
            5 => self.ledger.evict(),
            6 => self.offer(bytes),
            7 => self.charger_offers(bytes),
            8 | 9 => self.charger_answers(bytes),
            10 => self.spend_otherwise(bytes),
            11 => self.weather(bytes),
            12 => self.seal(bytes),
            13 => self.charger_seals(bytes),
            14 => self.open_letter(bytes),
            _ => self.card(bytes),
        }
        matches!(action, 0 | 1 | 6 | 12 | 14 | 15)
    }

    fn sync(&mut self) {
        let party = self.party.as_mut().expect("it runs");
        match party.sync(&self.ledger, &mut |_| ()) {
            Ok(_) => assert_eq!(Some(party.tip()), keyway_ledger::Ledger::tip(&self.ledger).ok()),
            Err(error) => check(&error),
        }
    }

    fn offer(&mut self, bytes: &mut Bytes<'_>) {
        let carrier = [Carrier::Value, Carrier::Static, Carrier::Dynamic][usize::from(bytes.or_zero() % 3)];
        let suite = if bytes.or_zero() % 4 == 3 { Suite::default_over(carrier) } else { Suite::X25519 };
        let form = [AnswerForm::Sequences, AnswerForm::Amounts][usize::from(bytes.or_zero() % 2)];
        let price = Amount::from_sat(50_000 + u64::from(bytes.number() % 1_000_000));
        let peer = self.charger_card.permanent().name.to_string();
        let request =
            OfferRequest { peer, price, suite, carrier, form, force: false, timeout: None, group: None };
        let party = self.party.as_mut().expect("it runs");
        if let Err(error) = party.offer(&self.ledger, &request) {
            check(&error);
        }
    }

    /// A payment of the charger to the car with an offer in it, changed.
    fn charger_offers(&mut self, bytes: &mut Bytes<'_>) {
        let (input0, secret) = (self.next_coin(), self.secret());
        let context = self.context(Role::Responder, input0, Carrier::Value);
        let price = Amount::from_sat(60_000 + u64::from(bytes.number() % 1_000_000));
        let at = bytes.or_zero();
        let offered = match at % 3 {
            0 => self.run(context, &secret, price),
            1 => self.sealed(context, &secret, price, u32::from(at)),
            _ => self.locked(context, &secret, price, bytes),
        };
        let Some((outputs, lock_time)) = offered else { return };
        self.post(&[input0], outputs, lock_time, bytes);
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

    /// The charger's answer to an offer of the car, over the value or the static carrier, changed.
    fn charger_answers(&mut self, bytes: &mut Bytes<'_>) {
        let which = usize::from(bytes.or_zero());
        let Some(tx) = which.checked_rem(self.offers.len()).and_then(|at| self.offers.get(at)).cloned()
        else {
            return;
        };
        let Some(coin) = tx.input.first().and_then(|input| self.ledger.output(&input.previous_output)) else {
            return;
        };
        let Ok(authored) = Authored::verify(&tx, coin.value) else { return };
        let answered = self.answer_run(&authored).or_else(|| self.answer_letter(&authored));
        let Some((inputs, sequences, outputs, agreed)) = answered else { return };
        self.keys.push(agreed);
        self.post_with(&inputs, &sequences, outputs, 0, bytes);
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
    fn spend_otherwise(&mut self, bytes: &mut Bytes<'_>) {
        let which = usize::from(bytes.or_zero());
        let Some(tx) = which.checked_rem(self.offers.len()).and_then(|at| self.offers.get(at)) else {
            return;
        };
        let from_input = bytes.or_zero().is_multiple_of(2);
        let index = usize::from(bytes.or_zero());
        let outpoint = if from_input {
            index
                .checked_rem(tx.input.len())
                .and_then(|at| tx.input.get(at))
                .map(|input| input.previous_output)
        } else {
            index.checked_rem(tx.output.len()).map(|at| OutPoint::new(tx.compute_txid(), at as u32))
        };
        let outputs = self.to_itself();
        if let Some(outpoint) = outpoint {
            self.post(&[outpoint], outputs, 0, bytes);
        }
    }

    fn weather(&mut self, bytes: &mut Bytes<'_>) {
        let answers = match bytes.or_zero() % 8 {
            0..3 => Answers::Takes,
            3 => Answers::TakesAndIsLost,
            4 => Answers::IsLost,
            5 => Answers::Refuses("bad-txns-inputs-missingorspent"),
            6 => Answers::Refuses("txn-mempool-conflict"),
            _ => Answers::Refuses("min relay fee not met"),
        };
        let feerate = FeeRate::from_sat_per_kwu(250 + 100 * u64::from(bytes.or_zero()));
        let most_data = if bytes.or_zero().is_multiple_of(2) { 100_000 } else { 83 };
        self.ledger.set(answers, feerate, most_data);
    }

    fn seal(&mut self, bytes: &mut Bytes<'_>) {
        let mut plaintext = vec![0; usize::from(bytes.or_zero() % 32)];
        bytes.change(&mut plaintext);
        let charger = self.charger_card.permanent().name.to_string();
        match self.party().seal(&charger, &plaintext, b"") {
            Ok(message) => self.letters.push(message.sealed.to_bytes()),
            Err(error) => check(&error),
        }
    }

    fn charger_seals(&mut self, bytes: &mut Bytes<'_>) {
        let which = usize::from(bytes.or_zero());
        let Some(agreed) = which.checked_rem(self.keys.len()).and_then(|at| self.keys.get(at)) else {
            return;
        };
        let tip = BestChain::tip(&self.ledger);
        let first = tip.minus(u32::from(bytes.or_zero()));
        let block = first.plus(u32::from(bytes.or_zero())).min(tip);
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

    fn open_letter(&mut self, bytes: &mut Bytes<'_>) {
        let which = usize::from(bytes.or_zero());
        let Some(letter) = which.checked_rem(self.letters.len()).and_then(|at| self.letters.get(at)) else {
            return;
        };
        let mut letter = letter.clone();
        bytes.change(&mut letter);
        let again = bytes.or_zero() % 2 == 1;
        let Ok(sealed) = Sealed::from_bytes(&letter) else { return };
        match self.party().open_sealed(&sealed, b"", again) {
            // Only what was sealed opens.
            Ok(opened) => {
                assert!(self.letters.contains(&letter) && &opened.plaintext[..] == b"started");
                self.opened += 1;
            }
            Err(error) => check(&error),
        }
    }

    fn card(&mut self, bytes: &mut Bytes<'_>) {
        let charger = self.charger_card.permanent().name.to_string();
        let mut text = self.charger_card.to_string().into_bytes();
        let done = match bytes.or_zero() % 4 {
            0 => {
                bytes.change(&mut text);
                let card = String::from_utf8(text).ok().and_then(|text| text.parse::<Card>().ok());
                card.map_or(Ok(()), |card| self.party().add_peer(card))
            }
            1 => self.party().revoke_peer(&charger, bytes.or_zero().is_multiple_of(2)).map(drop),
            2 => self.party().renew_card().map(drop),
            _ => return self.start_again(),
        };
        if let Err(error) = done {
            check(&error);
        }
    }

    fn start_again(&mut self) {
        drop(self.party.take());
        self.party = Some(open());
    }

    fn post(&mut self, inputs: &[OutPoint], outputs: Vec<TxOut>, lock_time: u32, bytes: &mut Bytes<'_>) {
        let sequences = vec![Sequence(0xffff_fffd); inputs.len()];
        self.post_with(inputs, &sequences, outputs, lock_time, bytes);
    }

    /// Puts a transaction of the charger among the unmined ones, with changes: how many (u8), then of each what (u8), which
    /// (u8) and what is xored (u32). It is signed before or after them.
    fn post_with(
        &mut self,
        inputs: &[OutPoint],
        sequences: &[Sequence],
        output: Vec<TxOut>,
        lock_time: u32,
        bytes: &mut Bytes<'_>,
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
        let changes = bytes.or_zero() % 4;
        for _ in 0..changes {
            change(&mut tx, bytes.or_zero(), usize::from(bytes.or_zero()), bytes.number());
        }
        if changes > 0 && !bytes.or_zero().is_multiple_of(4) {
            self.sign(&mut tx, &spent);
        }
        self.ledger.tell(tx, inputs.iter().copied().zip(spent));
    }

    /// What coins hold; those that nobody knows are the charger's.
    fn spent(&self, inputs: &[OutPoint]) -> Vec<TxOut> {
        let script_pubkey = self.charger.identity.party().script();
        let unknown = TxOut { value: COIN, script_pubkey };
        inputs.iter().map(|input| self.ledger.output(input).unwrap_or_else(|| unknown.clone())).collect()
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
        OutPoint::new(Txid::from_byte_array(txid), 0)
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

    /// What it shows can be shown, and what it sent pays no more to miners than it may.
    fn look(&mut self) {
        let party = self.party.as_ref().expect("it runs");
        for error in [party.negotiations().err(), party.status().err()].into_iter().flatten() {
            check(&error);
        }
        let sent = self.ledger.handed_over(self.seen);
        self.seen += sent.len();
        let (own, charger) = (party.key().script(), self.charger.identity.party().script());
        let ceiling = party.config().fee_ceiling;
        for tx in sent {
            self.check_fee(&tx, ceiling);
            let pays_charger = tx.output.iter().any(|output| output.script_pubkey == charger);
            if pays_charger && is_signed_by(&tx, &own) {
                self.offers.push(tx.as_ref().clone());
            }
        }
    }

    fn check_fee(&self, tx: &Arc<Transaction>, ceiling: FeeRate) {
        let spent: Option<Vec<TxOut>> =
            tx.input.iter().map(|input| self.ledger.output(&input.previous_output)).collect();
        let Some(spent) = spent else { return };
        let paid: Amount = spent.iter().map(|coin| coin.value).sum();
        let made: Amount = tx.output.iter().map(|output| output.value).sum();
        let most = ceiling.fee_wu(tx.weight()).unwrap_or(Amount::MAX) + Amount::from_sat(1_000);
        let fee = paid.checked_sub(made).expect("it makes no money");
        assert!(fee <= most, "{fee} for {} vB", tx.vsize());
    }

    /// A program that starts again shows the same.
    fn end(&mut self) {
        self.ledger.set(Answers::Takes, FeeRate::from_sat_per_kwu(250), 100_000);
        self.sync();
        let shown = |party: &Party| party.negotiations().map(|views| format!("{views:?}"));
        let live = shown(self.party());
        self.start_again();
        self.sync();
        match (live, shown(self.party())) {
            (Ok(live), Ok(again)) => assert_eq!(live, again),
            (Err(error), _) | (_, Err(error)) => check(&error),
        }
        drop(self.party.take());
    }
}

type Answered = (Vec<OutPoint>, Vec<Sequence>, Vec<TxOut>, Agreed);

fn is_signed_by(tx: &Transaction, script: &ScriptBuf) -> bool {
    let key = tx.input.first().and_then(|input| input.witness.nth(1));
    let party = key.and_then(|key| keyway_protocol::identity::PartyKey::from_slice(key).ok());
    party.is_some_and(|party| party.script() == *script)
}

fn change(tx: &mut Transaction, what: u8, which: usize, flip: u32) {
    let output = which.checked_rem(tx.output.len()).unwrap_or_default();
    let input = which.checked_rem(tx.input.len()).unwrap_or_default();
    match what % 6 {
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
                let at = (flip >> 8) as usize % script.len().max(1);
                if let Some(byte) = script.get_mut(at) {
                    *byte ^= flip as u8;
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

/// An error says what happened, and none of this is the store's fault.
fn check(error: &NodeError) {
    use NodeError as E;
    assert!(!error.to_string().is_empty());
    let at_fault = matches!(
        error,
        E::StoreDamaged { .. }
            | E::StoreReadOnly(_)
            | E::Store { .. }
            | E::Doubtful(_)
            | E::Io { .. }
            | E::Wallet(_)
    );
    assert!(!at_fault, "{error}");
}
