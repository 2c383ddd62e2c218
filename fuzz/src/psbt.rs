//! What comes back from the wallet that shall fund a prepared offer: its PSBT, funded, signed, and edited.
//!
//! Input: kind (u8), then edits, each a byte and what it takes: the byte's low half says what is done, its high half where (see
//! [`Returned::edit`]). The kind says which offer comes back (modulo 3: over the value, the static or the dynamic carrier) and what
//! becomes of what is handed over (a third of it, modulo 4: it is refused, the ledger cannot be reached, else it is taken). The home
//! is that of [`SOUND`](crate::store_file::SOUND), its coins and the other wallet's are there whatever its signatures are, for
//! nobody checks those but the node that takes the transaction.

use std::sync::{LazyLock, Mutex, PoisonError};

use bitcoin::hashes::Hash;
use bitcoin::script::PushBytesBuf;
use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{
    Amount, OutPoint, Psbt, PubkeyHash, ScriptBuf, Sequence, TapSighashType, Transaction, TxIn, TxOut, Txid,
    WPubkeyHash, Witness, XOnlyPublicKey, psbt,
};
use keyway_chain::Chain;
use keyway_node::{NodeError, OfferRequest, Party, PreparedOffer};
use keyway_protocol::authorship::Authored;
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::suite::Suite;

use crate::hearsay::{Answers, Hearsay};
use crate::stage::{Stage, begin_again};

const PRICE: Amount = Amount::from_sat(250_000);
const COIN: Amount = Amount::from_sat(10_000_000);
/// One to be lent to each offer, and one that stays.
const COINS: usize = Carrier::ALL.len() + 1;
/// What a wallet signs for is not looked at; what has the form of a signature is.
const DER: [u8; 9] = [0x30, 6, 2, 1, 1, 2, 1, 1, 1];
/// More take the fuzzer long, and show little that these do not.
const MOST_EDITS: usize = 20;

/// Submits what these bytes describe and holds the home to its promises.
pub fn psbt(data: &[u8]) {
    is_sent(data);
}

/// Whether the home signed what these bytes describe, and sent it.
pub fn is_sent(data: &[u8]) -> bool {
    let Some((kind, mut bytes)) = data.split_first() else { return false };
    let mut world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    let offer = usize::from(kind % 3);
    let mut returned = Returned::of(&world.offers[offer]);
    for _ in 0..MOST_EDITS {
        let Some(edit) = byte(&mut bytes) else { break };
        returned.edit(edit, &mut bytes);
    }
    let answers = match kind / 3 % 4 {
        0 => Answers::Refuses("txn-mempool-conflict"),
        1 => Answers::IsLost,
        _ => Answers::Takes,
    };
    world.submit(offer, &returned.serialize(), answers)
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

/// The home and its offers that wait, and what it hears.
struct World {
    stage: Stage,
    party: Option<Party>,
    ledger: Hearsay,
    /// As the ledger was before anything was handed over.
    kept: Hearsay,
    offers: [PreparedOffer; 3],
}

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| Mutex::new(World::begin()));

impl World {
    fn begin() -> Self {
        let mut stage = Stage::set();
        let mut party = stage.open();
        let ledger = stage.ledger(&party);
        fund(&party, &ledger);
        party.sync(&ledger, &mut |_| ()).expect("a block is followed");
        let offers = Carrier::ALL.map(|carrier| {
            let peer = party.peers().first().expect("the home has a peer").permanent().name.to_string();
            let suite = Suite::default_over(carrier);
            let request = OfferRequest {
                peer,
                price: PRICE,
                suite,
                carrier,
                form: AnswerForm::Sequences,
                force: false,
                timeout: None,
                group: None,
            };
            party.prepare(&ledger, &request).expect("an offer waits")
        });
        foreign_coins().for_each(|coin| ledger.know([coin]));
        stage.keep();
        Self { stage, party: Some(party), kept: ledger.clone(), ledger, offers }
    }

    fn submit(&mut self, offer: usize, psbt: &[u8], answers: Answers) -> bool {
        let feerate = Chain::regtest().min_relay();
        self.ledger.set(answers, feerate, 100_000);
        let party = self.party.as_mut().expect("it is put back");
        let outcome = party.submit(&self.ledger, psbt);
        let sent = self.ledger.handed_over(0);
        match &outcome {
            Ok(told) => {
                assert!(sent.len() == 1 && sent[0].compute_txid() == told.txid);
                self.check_sent(&sent[0], told.fee);
            }
            Err(NodeError::Psbt(why)) => {
                assert!(!why.to_string().is_empty() && sent.is_empty());
                assert!(self.waits(offer), "{why}");
                // Nothing was stored: the next life finds what this one found.
                return false;
            }
            Err(NodeError::Broadcast { source, .. }) => {
                assert!(answers != Answers::Takes && sent.is_empty());
                let was_refused = matches!(source, keyway_ledger::BroadcastError::Refused(_));
                assert_eq!(
                    self.waits(offer),
                    was_refused,
                    "what may have been sent does not wait, the rest does"
                );
            }
            Err(error) => panic!("{error}"),
        }
        self.put_back();
        outcome.is_ok()
    }

    fn waits(&self, offer: usize) -> bool {
        let expected = &self.offers[offer];
        let party = self.party.as_ref().expect("it is put back");
        party.prepared(expected.id).is_ok_and(|waiting| waiting.psbt == expected.psbt)
    }

    /// It speaks for the home, pays what was prepared, and no more to the peer or to miners than it may.
    fn check_sent(&self, tx: &Transaction, fee: Amount) {
        let party = self.party.as_ref().expect("it is put back");
        let input0 = tx.input.first().expect("it has inputs").previous_output;
        let is_of = |offer: &&PreparedOffer| template(offer).input[0].previous_output == input0;
        let offer = self.offers.iter().find(is_of).expect("it spends a coin that was lent");
        let author = Authored::verify(tx, offer.lent).expect("it is signed").author();
        assert_eq!(author, party.key());
        let prepared = template(offer).output;
        assert!(tx.output.starts_with(&prepared));
        let peer = party.peers().first().expect("the home has a peer").permanent().key.script();
        assert!(tx.output.iter().skip(prepared.len()).all(|output| output.script_pubkey != peer));
        let spent = tx.input.iter().map(|input| self.ledger.output(&input.previous_output).expect("a coin"));
        let (spent, paid): (Amount, Amount) =
            (spent.map(|coin| coin.value).sum(), tx.output.iter().map(|output| output.value).sum());
        assert_eq!(spent - paid, fee);
        let most = party.config().fee_ceiling.fee_wu(tx.weight()).expect("a fee");
        // Its signature may have turned out shorter than was reckoned.
        assert!(fee <= most + Amount::from_sat(1_000), "{fee}");
    }

    fn put_back(&mut self) {
        self.stage.put_back();
        self.ledger = self.kept.clone();
        self.party = self.party.take().map(begin_again);
    }
}

/// Coins of the home from nowhere, in a block.
fn fund(party: &Party, ledger: &Hearsay) {
    let coin = TxOut { value: COIN, script_pubkey: party.key().script() };
    ledger.tell(Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![TxIn { previous_output: OutPoint::new(Txid::all_zeros(), 0), ..TxIn::default() }],
        output: vec![coin; COINS],
    });
    ledger.mine();
}

fn template(offer: &PreparedOffer) -> Transaction {
    Psbt::deserialize(&offer.psbt).expect("the home's own").unsigned_tx
}

/// The kinds of coins that wallets have: P2WPKH, P2TR, both kinds of P2SH, P2WSH, P2PKH, and what is none of these.
const KINDS: u32 = 7;

fn foreign_coin(number: u32) -> OutPoint {
    OutPoint::new(Txid::from_byte_array([0xf0; 32]), number)
}

fn foreign_coins() -> impl Iterator<Item = (OutPoint, TxOut)> {
    (0..2 * KINDS).map(|number| {
        (foreign_coin(number), TxOut { value: COIN, script_pubkey: foreign_script(number % KINDS) })
    })
}

fn p2wpkh() -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array([8; 20]))
}

fn foreign_script(kind: u32) -> ScriptBuf {
    match kind {
        0 => p2wpkh(),
        1 => {
            let x = Chain::regtest().genesis().to_byte_array();
            let key =
                (0..=u8::MAX).find_map(|last| XOnlyPublicKey::from_slice(&[&x[..31], &[last]].concat()).ok());
            let key = key.expect("half of all numbers are an x coordinate");
            ScriptBuf::new_p2tr_tweaked(bitcoin::key::TweakedPublicKey::dangerous_assume_tweaked(key))
        }
        2 => p2wpkh().to_p2sh(),
        3 => ScriptBuf::new().to_p2wsh(),
        4 => ScriptBuf::new_p2pkh(&PubkeyHash::from_byte_array([9; 20])),
        5 => ScriptBuf::new().to_p2wsh().to_p2sh(),
        _ => ScriptBuf::new(),
    }
}

/// What a wallet of this kind puts into an input that it signs.
fn signed(kind: u32) -> psbt::Input {
    let witness: &[&[u8]] = match kind {
        0 | 2 => &[&DER, &[2; 33]],
        1 => &[&[3; 64]],
        3 | 5 => &[&DER, &[]],
        _ => &[],
    };
    let script_sig = match kind {
        2 => one_push(p2wpkh()),
        4 => one_push(ScriptBuf::from_bytes(DER.to_vec())),
        5 => one_push(ScriptBuf::new().to_p2wsh()),
        _ => ScriptBuf::new(),
    };
    psbt::Input {
        witness_utxo: Some(TxOut { value: COIN, script_pubkey: foreign_script(kind) }),
        final_script_sig: Some(script_sig).filter(|script| !script.is_empty()),
        final_script_witness: Some(Witness::from_slice(witness)).filter(|witness| !witness.is_empty()),
        ..psbt::Input::default()
    }
}

fn one_push(script: ScriptBuf) -> ScriptBuf {
    let push = PushBytesBuf::try_from(script.into_bytes()).expect("short");
    ScriptBuf::builder().push_slice(push).into_script()
}

/// What comes back.
struct Returned {
    psbt: Psbt,
    lent: Amount,
    /// Of the serialised bytes: where (modulo their length), and what is flipped.
    flips: Vec<(u16, u8)>,
    cut: u16,
}

impl Returned {
    fn of(offer: &PreparedOffer) -> Self {
        let psbt = Psbt::deserialize(&offer.psbt).expect("the home's own");
        Self { psbt, lent: offer.lent, flips: Vec::new(), cut: 0 }
    }

    fn edit(&mut self, edit: u8, bytes: &mut &[u8]) {
        let (what, which) = (edit % 16, edit / 16);
        let mut next = || byte(bytes).unwrap_or_default();
        match what {
            // Funds it, whatever is left over.
            0 => self.spend(foreign_coin(u32::from(which)), signed(u32::from(which) % KINDS)),
            // What is left over but for a fee, to a script of that kind.
            1 => self.change(which, Amount::from_sat(250 * u64::from(next()))),
            2 => self.pay(which, Amount::from_sat(u64::from(next()) << (next() % 56))),
            3 => self.with_output(which, |output| {
                let flip = u64::from(next()) << (next() % 56);
                output.value = Amount::from_sat(output.value.to_sat() ^ flip);
            }),
            4 => self.with_output(which, |output| flip_script(&mut output.script_pubkey, next(), next())),
            5 => self.rotate_outputs(usize::from(which)),
            6 => self.rotate_inputs(usize::from(which)),
            7 => self.drop_last(which),
            8 => self.frame(which, u32::from(next()) << (next() % 32)),
            9 => self.spend(
                OutPoint::new(Txid::from_byte_array([next(); 32]), 0),
                signed(u32::from(which) % KINDS),
            ),
            10 => self.with_input(which, |input| {
                let mut elements: Vec<Vec<u8>> =
                    input.final_script_witness.take().unwrap_or_default().to_vec();
                let (at, from, flip) = (usize::from(next()), usize::from(next()), next());
                let len = elements.len().max(1);
                if let Some(element) = elements.get_mut(at % len) {
                    flip_bytes(element, from, flip);
                }
                input.final_script_witness = Some(Witness::from_slice(&elements));
            }),
            11 => self.with_input(which, |input| {
                let element = vec![next(); usize::from(next())];
                input.final_script_witness.get_or_insert_default().push(element);
            }),
            12 => self.with_input(which, |input| input.sighash_type = Some(sighash(next()))),
            13 => self.with_input(which, |input| match next() {
                0 => input.witness_utxo = None,
                1 => input.final_script_witness = None,
                2 => input.final_script_sig = None,
                flip => {
                    input.final_script_sig.iter_mut().for_each(|script| flip_script(script, next(), flip))
                }
            }),
            14 => self.flips.push((u16::from_be_bytes([next(), next()]), next())),
            _ => self.cut = u16::from_be_bytes([next(), next()]),
        }
    }

    fn spend(&mut self, previous_output: OutPoint, signed: psbt::Input) {
        let input = TxIn { previous_output, sequence: Sequence::ENABLE_RBF_NO_LOCKTIME, ..TxIn::default() };
        self.psbt.unsigned_tx.input.push(input);
        self.psbt.inputs.push(signed);
    }

    fn change(&mut self, to: u8, fee: Amount) {
        let spent = self.psbt.inputs.iter().skip(1).filter_map(|input| input.witness_utxo.as_ref());
        let spent = spent.map(|coin| coin.value).sum::<Amount>() + self.lent;
        let tx = &self.psbt.unsigned_tx;
        let paid = tx.output.iter().try_fold(fee, |sum, output| sum.checked_add(output.value));
        let left = paid.and_then(|paid| spent.checked_sub(paid));
        self.pay(to, left.unwrap_or(Amount::ONE_SAT));
    }

    fn pay(&mut self, to: u8, value: Amount) {
        let script_pubkey = match to {
            0..7 => foreign_script(u32::from(to)),
            // What is paid already: the peer or the home, or what carries the message.
            7..15 => {
                let outputs = &self.psbt.unsigned_tx.output;
                outputs
                    .iter()
                    .nth_back(usize::from(to - 7))
                    .map(|output| output.script_pubkey.clone())
                    .unwrap_or_default()
            }
            _ => ScriptBuf::new_op_return([to]),
        };
        self.psbt.unsigned_tx.output.push(TxOut { value, script_pubkey });
        self.psbt.outputs.push(psbt::Output::default());
    }

    fn with_output(&mut self, which: u8, edit: impl FnOnce(&mut TxOut)) {
        self.psbt.unsigned_tx.output.iter_mut().nth_back(usize::from(which)).map(edit);
    }

    fn with_input(&mut self, which: u8, edit: impl FnOnce(&mut psbt::Input)) {
        self.psbt.inputs.iter_mut().nth_back(usize::from(which)).map(edit);
    }

    fn rotate_outputs(&mut self, by: usize) {
        let outputs = &mut self.psbt.unsigned_tx.output;
        let by = by.min(outputs.len());
        outputs.rotate_right(by);
    }

    fn rotate_inputs(&mut self, by: usize) {
        let by = by.min(self.psbt.inputs.len());
        self.psbt.unsigned_tx.input.rotate_right(by);
        self.psbt.inputs.rotate_right(by);
    }

    fn drop_last(&mut self, which: u8) {
        if which.is_multiple_of(2) {
            self.psbt.unsigned_tx.output.pop();
            self.psbt.outputs.pop();
        } else {
            self.psbt.unsigned_tx.input.pop();
            self.psbt.inputs.pop();
        }
    }

    /// What belongs to no output.
    fn frame(&mut self, which: u8, flip: u32) {
        let tx = &mut self.psbt.unsigned_tx;
        match which {
            0 => tx.version.0 ^= flip as i32,
            1 => {
                let lock_time = tx.lock_time.to_consensus_u32() ^ flip;
                tx.lock_time = bitcoin::absolute::LockTime::from_consensus(lock_time);
            }
            which => {
                let input = tx.input.get_mut(usize::from(which - 2));
                input.into_iter().for_each(|input| input.sequence.0 ^= flip);
            }
        }
    }

    fn serialize(&self) -> Vec<u8> {
        let mut bytes = self.psbt.serialize();
        self.flips.iter().for_each(|&(at, flip)| flip_bytes(&mut bytes, usize::from(at), flip));
        bytes.truncate(bytes.len().saturating_sub(usize::from(self.cut)));
        bytes
    }
}

fn sighash(kind: u8) -> psbt::PsbtSighashType {
    match kind {
        0 => EcdsaSighashType::All.into(),
        1 => EcdsaSighashType::None.into(),
        2 => TapSighashType::Default.into(),
        3 => TapSighashType::AllPlusAnyoneCanPay.into(),
        other => psbt::PsbtSighashType::from_u32(u32::from(other)),
    }
}

fn flip_script(script: &mut ScriptBuf, at: u8, flip: u8) {
    let mut bytes = std::mem::take(script).into_bytes();
    flip_bytes(&mut bytes, usize::from(at), flip);
    *script = ScriptBuf::from_bytes(bytes);
}

fn flip_bytes(bytes: &mut [u8], at: usize, flip: u8) {
    if let Some(byte) = at.checked_rem(bytes.len()).and_then(|at| bytes.get_mut(at)) {
        *byte ^= flip;
    }
}
