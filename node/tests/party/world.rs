//! Two parties, and an attacker where one is wanted, over one embedded ledger.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bip39::Mnemonic;
use bitcoin::absolute::LockTime;
use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, BlockHash, FeeRate, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness,
};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{BroadcastError, Coin, Embedded, Hit, Ledger, LedgerError, Next, Watch};
use keyway_node::*;
use keyway_protocol::identity::Seed;
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;
use tempfile::TempDir;

pub const CAR: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
pub const CHARGER: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
pub const MALLORY: &str = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong";
pub const PRICE: Amount = Amount::from_sat(250_000);

pub struct World {
    pub dir: TempDir,
    pub ledger: Embedded,
    pub car: Party,
    pub charger: Party,
}

/// A script of nobody in the story: blocks and payments go there.
pub fn nobody() -> ScriptBuf {
    let hash = bitcoin::WPubkeyHash::from_byte_array([7; 20]);
    ScriptBuf::new_p2wpkh(&hash)
}

pub fn seed(words: &str) -> Seed {
    Seed::derive(&words.parse().unwrap(), &Chain::regtest()).unwrap()
}

pub fn party(dir: &Path, name: &str, words: &str, ledger: &dyn Ledger) -> Party {
    let enforce_exponent = ledger.enforces_exponent().unwrap();
    let ledger_config = LedgerConfig::Embedded { path: dir.join("ledger"), enforce_exponent };
    let config = Config::new(Chain::regtest(), ledger_config);
    let new = NewParty {
        name: name.parse().unwrap(),
        config,
        mnemonic: words.parse::<Mnemonic>().unwrap(),
        birthday: birthday(ledger).unwrap(),
        unlock: Unlock::Insecure,
    };
    Party::create(&dir.join(name), new).unwrap()
}

impl World {
    /// Cards exchanged, the car funded with four coins of a tenth of a bitcoin each.
    pub fn new() -> Self {
        Self::strangers().acquainted()
    }

    fn acquainted(mut self) -> Self {
        self.charger.add_peer(self.car.card().clone()).unwrap();
        self.car.add_peer(self.charger.card().clone()).unwrap();
        self
    }

    /// The same where OP_EXPONENT is enforced.
    pub fn enforcing() -> Self {
        Self::over(|ledger| ledger.enforce_exponent().unwrap()).acquainted()
    }

    /// The same without cards.
    pub fn strangers() -> Self {
        Self::over(|_| ())
    }

    fn over(prepare: impl FnOnce(&Embedded)) -> Self {
        let dir = TempDir::new().unwrap();
        let ledger = Embedded::open(dir.path().join("ledger")).unwrap();
        prepare(&ledger);
        let car = party(dir.path(), "car", CAR, &ledger);
        let charger = party(dir.path(), "charger", CHARGER, &ledger);
        let mut world = Self { dir, ledger, car, charger };
        for _ in 0..IDENTITY_COINS {
            world.ledger.mine(1, &world.car.key().script()).unwrap();
        }
        world.mine(100);
        world.sync();
        world
    }

    pub fn mine(&mut self, blocks: u32) -> Vec<BlockRef> {
        self.ledger.mine(blocks, &nobody()).unwrap()
    }

    pub fn sync(&mut self) -> (Synced, Synced) {
        let car = self.car.sync(&self.ledger, &mut |_| ()).unwrap();
        let charger = self.charger.sync(&self.ledger, &mut |_| ()).unwrap();
        (car, charger)
    }

    pub fn mine_and_sync(&mut self, blocks: u32) {
        self.mine(blocks);
        self.sync();
    }

    pub fn offer(&mut self) -> OfferSent {
        self.car.offer(&self.ledger, &request(PRICE)).unwrap()
    }

    /// Offer, answer, and the policy's depth.
    pub fn agree(&mut self) -> NegotiationId {
        let id = self.offer().id;
        self.mine_and_sync(1);
        self.mine_and_sync(2);
        assert_eq!(
            (self.state(&self.car, id), self.state(&self.charger, id)),
            (State::Active, State::Active)
        );
        id
    }

    pub fn view(&self, party: &Party, id: NegotiationId) -> NegotiationView {
        party.negotiations().unwrap().into_iter().find(|view| view.id == id).unwrap()
    }

    pub fn state(&self, party: &Party, id: NegotiationId) -> State {
        self.view(party, id).state
    }

    /// Closes a home and opens it again, as a restart does.
    pub fn restart_car(&mut self) {
        restart(&mut self.car, self.dir.path(), &self.ledger);
    }

    /// The same for the other side.
    pub fn restart_charger(&mut self) {
        restart(&mut self.charger, self.dir.path(), &self.ledger);
    }
}

fn restart(side: &mut Party, dir: &Path, ledger: &dyn Ledger) {
    let home = side.dir().to_owned();
    // The old one must be gone before the new one can take the lock.
    let spare = party(dir, "spare", MALLORY, ledger);
    drop(std::mem::replace(side, spare));
    *side = Party::open(&home, &Unlock::Insecure).unwrap();
    std::fs::remove_dir_all(dir.join("spare")).unwrap();
}

/// What becomes of a transaction that is to be sent; `None` if the ledger itself says it.
pub type Fate = fn(&Transaction) -> Option<BroadcastError>;

/// A ledger that fails to send some transactions.
pub struct Hindered<'a>(pub &'a Embedded, pub Fate);

/// One whose backend is lost whenever something is to be sent.
pub fn deaf(ledger: &Embedded) -> Hindered<'_> {
    Hindered(ledger, |_| Some(hung_up()))
}

/// A backend that is lost.
pub fn hung_up() -> BroadcastError {
    let (backend, reason) = ("a node".to_owned(), "it hung up".to_owned());
    LedgerError::Unreachable { backend, reason }.into()
}

impl Ledger for Hindered<'_> {
    fn chain(&self) -> &Chain {
        self.0.chain()
    }

    fn tip(&self) -> Result<BlockRef, LedgerError> {
        self.0.tip()
    }

    fn next(&self, after: BlockRef, watch: &Watch) -> Result<Next, LedgerError> {
        self.0.next(after, watch)
    }

    fn block_at(&self, height: Height) -> Result<Option<BlockRef>, LedgerError> {
        self.0.block_at(height)
    }

    fn header(&self, hash: &BlockHash) -> Result<Option<Header>, LedgerError> {
        self.0.header(hash)
    }

    fn txids(&self, hash: &BlockHash) -> Result<Option<Vec<Txid>>, LedgerError> {
        self.0.txids(hash)
    }

    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, LedgerError> {
        self.0.coin(outpoint)
    }

    fn broadcast(&self, tx: &Transaction) -> Result<Txid, BroadcastError> {
        (self.1)(tx).map_or_else(|| self.0.broadcast(tx), Err)
    }

    fn check(&self, tx: &Transaction) -> Result<(), BroadcastError> {
        self.0.check(tx)
    }

    fn pending(&self, watch: &Watch) -> Result<Vec<Hit>, LedgerError> {
        self.0.pending(watch)
    }

    fn unmined(&self, txid: &Txid) -> Result<Option<Arc<Transaction>>, LedgerError> {
        self.0.unmined(txid)
    }

    fn feerate(&self) -> Result<FeeRate, LedgerError> {
        self.0.feerate()
    }

    fn most_data(&self) -> Result<usize, LedgerError> {
        self.0.most_data()
    }

    fn wait(&self, seen: BlockRef, at_most: Duration) -> Result<BlockRef, LedgerError> {
        self.0.wait(seen, at_most)
    }
}

pub fn request(price: Amount) -> OfferRequest {
    OfferRequest {
        peer: "charger".to_owned(),
        price,
        suite: Suite::X25519,
        carrier: Carrier::Value,
        form: AnswerForm::Sequences,
        force: false,
        timeout: None,
        group: None,
    }
}

/// The same over another carrier, with the suite that is taken where nothing is said.
pub fn over(carrier: Carrier) -> OfferRequest {
    OfferRequest { carrier, suite: Suite::default_over(carrier), ..request(PRICE) }
}

/// An unsigned transaction.
pub fn spend(inputs: &[OutPoint], outputs: Vec<TxOut>) -> Transaction {
    let input = |&previous_output: &OutPoint| TxIn {
        previous_output,
        script_sig: ScriptBuf::new(),
        sequence: Sequence(0xffff_fffd),
        witness: Witness::new(),
    };
    let input = inputs.iter().map(input).collect();
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output: outputs }
}

/// The last coin that a block paid to this script.
pub fn last_coinbase(world: &World, script: &ScriptBuf) -> (OutPoint, TxOut) {
    let mut watch = Watch::new();
    watch.add_script(script.clone());
    let mut at = BlockRef::new(Height::GENESIS, world.ledger.chain().genesis());
    let mut found = None;
    while let Next::Connect(block) = world.ledger.next(at, &watch).unwrap() {
        at = block.at;
        let coinbase = block.hits.into_iter().find(|hit| hit.tx.is_coinbase());
        found = coinbase.map(|hit| (OutPoint::new(hit.txid, 0), hit.tx.output[0].clone())).or(found);
    }
    found.unwrap()
}

/// Signs every input as a P2WPKH spend of this seed, as an attacker's own program would.
pub fn sign(tx: &mut Transaction, coins: &[TxOut], seed: &Seed, sighash: EcdsaSighashType) {
    let secret = bitcoin::secp256k1::SecretKey::from_slice(seed.identity.to_secret().expose()).unwrap();
    let secp = bitcoin::secp256k1::Secp256k1::new();
    for (index, coin) in coins.iter().enumerate() {
        let digest = SighashCache::new(&*tx)
            .p2wpkh_signature_hash(index, &coin.script_pubkey, coin.value, sighash)
            .unwrap();
        let signature = secp.sign_ecdsa(&digest.into(), &secret);
        let signature = bitcoin::ecdsa::Signature { signature, sighash_type: sighash };
        tx.input[index].witness = Witness::p2wpkh(&signature, &secret.public_key(&secp));
    }
}

pub fn mined_tx(ledger: &Embedded, txid: &Txid, watch_script: &ScriptBuf) -> Transaction {
    let mut watch = Watch::new();
    watch.add_script(watch_script.clone());
    let mut at = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
    while let Next::Connect(block) = ledger.next(at, &watch).unwrap() {
        at = block.at;
        if let Some(hit) = block.hits.into_iter().find(|hit| hit.txid == *txid) {
            return hit.tx.as_ref().clone();
        }
    }
    panic!("{txid} is not in the chain")
}

pub fn outpoints(txid: Txid, count: usize) -> Vec<OutPoint> {
    (0..count as u32).map(|vout| OutPoint::new(txid, vout)).collect()
}

impl World {
    /// What the coin held that an offer of the car spends first: one of its coinbases.
    pub fn car_coin_amount(&self, offer: &Transaction) -> Amount {
        self.coin_value(&offer.input[0]).value
    }

    pub fn coin_value(&self, input: &TxIn) -> TxOut {
        let txid = input.previous_output.txid;
        let tx = mined_tx(&self.ledger, &txid, &self.car.key().script());
        tx.output[input.previous_output.vout as usize].clone()
    }
}
