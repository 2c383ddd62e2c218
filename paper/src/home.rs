//! Two parties in homes of their own over a ledger of Bitcoin Core's validation, and a third who has coins and no secret.

use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result, anyhow, bail};
use bip39::Mnemonic;
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, WPubkeyHash, Witness};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{Embedded, Ledger, Next, Watch};
use keyway_node::{
    Accepts, Config, IDENTITY_COINS, LedgerConfig, NegotiationView, NewParty, OfferRequest, Party, Unlock,
    birthday,
};
use keyway_protocol::identity::{IdentitySecret, Seed};
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;
use tempfile::TempDir;

use crate::random::Stream;

/// What is paid where nothing else is said.
pub const PRICE: Amount = Amount::from_sat(250_000);

/// What the thief pays to miners.
pub const FEE: Amount = Amount::from_sat(50_000);

/// Blocks after which a coinbase can be spent.
const MATURITY: u32 = 100;

/// Both, and the chain between them.
pub struct Pair {
    pub ledger: Embedded,
    pub car: Party,
    pub charger: Party,
    pub mallory: Mallory,
    // Last: what lies in it is closed before it goes.
    _dir: TempDir,
}

/// Somebody with coins.
pub struct Mallory {
    pub identity: IdentitySecret,
    coins: Mutex<Vec<(OutPoint, TxOut)>>,
}

/// What a home of these words on that ledger begins with, as it is usually configured.
pub fn new_party(name: &str, mnemonic: Mnemonic, unlock: Unlock, ledger: &Embedded) -> Result<NewParty> {
    let enforce_exponent = ledger.enforces_exponent()?;
    let path = ledger.folder().to_owned();
    let config = Config::new(Chain::regtest(), LedgerConfig::Embedded { path, enforce_exponent });
    let name = name.parse().map_err(|error| anyhow!("{error}"))?;
    Ok(NewParty { name, config, mnemonic, birthday: birthday(ledger)?, unlock })
}

/// A home in `dir` of words drawn from the stream; `change` changes the usual configuration.
pub fn party(
    dir: &Path,
    name: &str,
    stream: &mut Stream,
    ledger: &Embedded,
    change: impl FnOnce(&mut Config),
) -> Result<Party> {
    let mnemonic = Mnemonic::from_entropy(&stream.bytes::<16>())?;
    let mut new = new_party(name, mnemonic, Unlock::Insecure, ledger)?;
    change(&mut new.config);
    Ok(Party::create(&dir.join(name), new)?)
}

/// A script of nobody in the story.
pub fn nobody() -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array([7; 20]))
}

impl Pair {
    /// Cards exchanged, everybody with confirmed coins, every suite and published group accepted.
    pub fn new(stream: &mut Stream, enforce_exponent: bool) -> Result<Self> {
        let dir = TempDir::new().context("no folder for a ledger")?;
        let ledger = Embedded::open(dir.path().join("ledger"))?;
        if enforce_exponent {
            ledger.enforce_exponent()?;
        }
        let names = ["car", "charger"];
        let groups_from = names.map(|name| name.parse().map_err(|error| anyhow!("{error}")));
        let groups_from = groups_from.into_iter().collect::<Result<Vec<_>>>()?;
        let accepts = Accepts { suites: Suite::ALL.to_vec(), groups_from, ..Accepts::default() };
        let mut home =
            |name| party(dir.path(), name, stream, &ledger, |config| config.accepts = accepts.clone());
        let (mut car, mut charger) = (home("car")?, home("charger")?);
        car.add_peer(charger.card().clone())?;
        charger.add_peer(car.card().clone())?;
        let mnemonic = Mnemonic::from_entropy(&stream.bytes::<16>())?;
        let mallory = Mallory {
            identity: Seed::derive(&mnemonic, &Chain::regtest())?.identity,
            coins: Mutex::default(),
        };
        for script in [car.key(), charger.key(), mallory.identity.party()].map(|key| key.script()) {
            ledger.mine(IDENTITY_COINS as u32, &script)?;
        }
        ledger.mine(MATURITY, &nobody())?;
        let mut pair = Self { ledger, car, charger, mallory, _dir: dir };
        pair.mallory.collect(&pair.ledger)?;
        pair.sync()?;
        Ok(pair)
    }

    /// Both follow the chain, and do what is due.
    pub fn sync(&mut self) -> Result<()> {
        self.car.sync(&self.ledger, &mut |_| ())?;
        self.charger.sync(&self.ledger, &mut |_| ())?;
        Ok(())
    }

    /// So many blocks, of which both then know.
    pub fn mine(&mut self, blocks: u32) -> Result<()> {
        self.ledger.mine(blocks, &nobody())?;
        self.sync()
    }

    /// The same until both sides use the key of the offer that is on its way.
    ///
    /// # Errors
    /// If they do not.
    pub fn agree(&mut self, id: NegotiationId) -> Result<Agreement> {
        self.mine(1)?;
        self.mine(self.car.config().policy.key_depth.to_u32())?;
        let (car, charger) = (view(&self.car, id)?, view(&self.charger, id)?);
        if (car.state, charger.state) != (State::Active, State::Active) {
            bail!("{} over {}: {}, {}", car.suite, car.carrier, car.state, charger.state);
        }
        Ok(Agreement {
            same: car.fingerprint.is_some() && car.fingerprint == charger.fingerprint,
            car,
            charger,
        })
    }

    /// The transactions besides coinbases above a block, with their sizes.
    ///
    /// # Errors
    /// The ledger's.
    pub fn mined_since(&self, after: BlockRef) -> Result<Vec<Transaction>> {
        mined_since(&self.ledger, after)
    }
}

/// What both sides say of a negotiation.
pub struct Agreement {
    /// Whether they have one key.
    pub same: bool,
    /// The initiator's view.
    pub car: NegotiationView,
    /// The responder's view.
    pub charger: NegotiationView,
}

/// See [`Pair::mined_since`].
pub fn mined_since(ledger: &Embedded, after: BlockRef) -> Result<Vec<Transaction>> {
    let (tip, mut found) = (ledger.tip()?, Vec::new());
    for height in after.height.to_u32() + 1..=tip.height.to_u32() {
        let at = ledger.block_at(Height::new(height))?.context("a block of the best chain is missing")?;
        let bytes = ledger.block(&at.hash)?.context("a block of the best chain is missing")?;
        let block: bitcoin::Block = bitcoin::consensus::deserialize(&bytes)?;
        found.extend(block.txdata.into_iter().filter(|tx| !tx.is_coinbase()));
    }
    Ok(found)
}

/// One party's view of a negotiation.
pub fn view(party: &Party, id: NegotiationId) -> Result<NegotiationView> {
    let found = party.negotiations()?.into_iter().find(|view| view.id == id);
    found.with_context(|| format!("{} does not know negotiation {id}", party.name()))
}

/// An offer over amounts, of the usual price.
pub fn request(peer: &str, suite: Suite, carrier: Carrier) -> OfferRequest {
    OfferRequest {
        peer: peer.to_owned(),
        price: PRICE,
        suite,
        carrier,
        form: AnswerForm::Sequences,
        force: false,
        timeout: None,
        group: None,
    }
}

impl Mallory {
    /// Finds the coins that blocks gave.
    fn collect(&self, ledger: &Embedded) -> Result<()> {
        let script = self.identity.party().script();
        let mut watch = Watch::new();
        watch.add_script(script);
        let mut at = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
        let mut coins = self.coins.lock().map_err(|_| anyhow!("a thread that held coins has failed"))?;
        while let Next::Connect(block) = ledger.next(at, &watch)? {
            at = block.at;
            for hit in block.hits.iter().filter(|hit| hit.tx.is_coinbase()) {
                coins.extend(hit.tx.output.first().map(|coin| (OutPoint::new(hit.txid, 0), coin.clone())));
            }
        }
        Ok(())
    }

    /// A payment with these outputs from a coin of the thief's own.
    pub fn pay(&self, outputs: Vec<TxOut>) -> Result<Transaction> {
        let mut coins = self.coins.lock().map_err(|_| anyhow!("a thread that held coins has failed"))?;
        let (outpoint, coin) = coins.pop().context("the thief has no coins left")?;
        let mut outputs = outputs;
        let paid: Amount = outputs.iter().map(|output| output.value).sum();
        let change = coin.value - paid - FEE;
        outputs.push(TxOut { value: change, script_pubkey: self.identity.party().script() });
        self.spend(outpoint, &coin, outputs)
    }

    /// Spends a coin, whosever it is, with the thief's own signature.
    pub fn spend(&self, outpoint: OutPoint, coin: &TxOut, output: Vec<TxOut>) -> Result<Transaction> {
        let input = TxIn { previous_output: outpoint, sequence: Sequence(0xffff_fffd), ..TxIn::default() };
        let mut tx =
            Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: vec![input], output };
        let own = self.identity.party().script();
        let digest =
            SighashCache::new(&tx).p2wpkh_signature_hash(0, &own, coin.value, EcdsaSighashType::All)?;
        let key = self.identity.party().to_public_key();
        let witness = Witness::p2wpkh(&self.identity.sign_input(digest), &key);
        if let Some(input) = tx.input.first_mut() {
            input.witness = witness;
        }
        Ok(tx)
    }
}

/// A transaction that was mined.
pub fn mined(ledger: &Embedded, txid: &Txid) -> Result<Transaction> {
    let start = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
    let found = mined_since(ledger, start)?.into_iter().find(|tx| tx.compute_txid() == *txid);
    found.with_context(|| format!("{txid} was not mined"))
}
