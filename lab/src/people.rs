//! Who lives in the laboratory: honest people with homes, one attacker, and a faucet.

use std::path::Path;
use std::sync::{Arc, LazyLock, OnceLock};

use bip39::Mnemonic;
use bitcoin::secp256k1::{Secp256k1, SecretKey, SignOnly};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, absolute::LockTime,
    transaction::Version,
};
use keyway_chain::{Chain, Depth, Height};
use keyway_ledger::Ledger;
use keyway_node::{
    Config, LedgerConfig, NewParty, NodeError, Party, Policy, RestoreError, STORE_FILE, Unlock, birthday,
};
use keyway_protocol::card::{BadName, Card};
use keyway_protocol::identity::{PartyKey, Seed};

use crate::sim::Sim;

/// Honest people, by what they are called.
pub const NAMES: [&str; 5] = ["car", "charger", "fleet", "workshop", "expert"];
/// The depth at which each of them uses a key.
const KEY_DEPTHS: [u32; 5] = [2, 3, 2, 1, 6];
/// The attacker's place behind [`NAMES`].
pub const MALLORY: usize = NAMES.len();
const FAUCET: usize = MALLORY + 1;

/// Blocks before a schedule begins. The homes' birthday is the last of them.
pub const BASE: u32 = 130;
/// No reorganisation goes below it.
pub const BEDROCK: u32 = BASE - 25;

const FAUCET_COINS: u32 = 20;
/// A simulated chain has no subsidy schedule: large coins keep offers short.
const SUBSIDY: Amount = Amount::from_int_btc(20_000);
/// What the faucet pays to each person.
const COIN: Amount = Amount::from_int_btc(400);

/// A script that nobody can spend, for blocks that pay nobody in the story.
pub fn nobody() -> ScriptBuf {
    ScriptBuf::new_op_return([])
}

/// What everybody's keys are made from.
fn words(person: usize) -> Result<Mnemonic, NodeError> {
    let byte = u8::try_from(person).unwrap_or_default();
    Ok(Mnemonic::from_entropy(&[byte + 1; 16]).map_err(RestoreError::Mnemonic)?)
}

/// A person whose keys the laboratory has, to sign what only they can.
#[derive(Debug)]
pub struct Person {
    /// Its place.
    pub index: usize,
    /// Its keys.
    pub seed: Seed,
    secret: SecretKey,
    key: PartyKey,
    script: ScriptBuf,
}

impl Person {
    fn new(index: usize) -> Result<Self, NodeError> {
        let wallet = |error: &dyn std::fmt::Display| NodeError::Wallet(error.to_string());
        let seed = Seed::derive(&words(index)?, &Chain::regtest()).map_err(|e| wallet(&e))?;
        let secret = SecretKey::from_slice(seed.identity.to_secret().expose()).map_err(|e| wallet(&e))?;
        let key = seed.identity.party();
        Ok(Self { index, seed, secret, key, script: key.script() })
    }

    /// Its identity.
    pub fn key(&self) -> PartyKey {
        self.key
    }

    /// Where its coins are.
    pub fn script(&self) -> ScriptBuf {
        self.script.clone()
    }

    /// Signs every input as a spend of a coin of this person.
    pub fn sign(&self, tx: &mut Transaction, coins: &[TxOut], sighash: EcdsaSighashType) {
        static SECP: LazyLock<Secp256k1<SignOnly>> = LazyLock::new(Secp256k1::signing_only);
        let unsigned = tx.clone();
        let mut cache = SighashCache::new(&unsigned);
        for (index, (input, coin)) in tx.input.iter_mut().zip(coins).enumerate() {
            let Ok(digest) = cache.p2wpkh_signature_hash(index, &self.script(), coin.value, sighash) else {
                continue;
            };
            let signature = SECP.sign_ecdsa(&digest.into(), &self.secret);
            let signature = bitcoin::ecdsa::Signature { signature, sighash_type: sighash };
            input.witness = Witness::p2wpkh(&signature, &self.key().to_public_key());
        }
    }

    /// A signed payment from these coins of the person.
    pub fn pay(&self, from: &[(OutPoint, TxOut)], outputs: Vec<TxOut>) -> Transaction {
        let input = |(outpoint, _): &(OutPoint, TxOut)| TxIn {
            previous_output: *outpoint,
            sequence: Sequence(0xffff_fffd),
            ..TxIn::default()
        };
        let input = from.iter().map(input).collect();
        let mut tx = Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output: outputs };
        let coins: Vec<TxOut> = from.iter().map(|(_, coin)| coin.clone()).collect();
        self.sign(&mut tx, &coins, EcdsaSighashType::All);
        tx
    }
}

/// What is the same in every schedule, made once.
#[derive(Debug)]
pub struct People {
    /// The chain up to the birthday.
    pub sim: Sim,
    /// [`NAMES`], then the attacker, then the faucet.
    pub all: Vec<Person>,
    /// A store for each of [`NAMES`] in which all others' cards are accepted.
    pub stores: Vec<Vec<u8>>,
    /// Everybody's card.
    pub cards: Vec<Card>,
}

impl People {
    /// The one set of people of this process.
    ///
    /// # Errors
    /// If their homes cannot be made.
    pub fn of_this_process() -> Result<&'static Self, NodeError> {
        static PEOPLE: OnceLock<Result<People, String>> = OnceLock::new();
        let people = PEOPLE.get_or_init(|| People::new().map_err(|error| error.to_string()));
        people.as_ref().map_err(|error| NodeError::Wallet(error.clone()))
    }

    fn new() -> Result<Self, NodeError> {
        let sim = Sim::new(Chain::regtest(), SUBSIDY);
        let all = (0..=FAUCET).map(Person::new).collect::<Result<Vec<_>, _>>()?;
        let faucet = all.last().map(Person::script).unwrap_or_default();
        for height in 0..BASE {
            let to = if height < FAUCET_COINS { &faucet } else { &nobody() };
            sim.mine(to, &mut |_| true);
        }
        let dir = tempfile::tempdir().map_err(|source| io(Path::new("/tmp"), source))?;
        let mut parties = Vec::new();
        for (index, name) in NAMES.iter().copied().chain(["mallory"]).enumerate() {
            parties.push(party(dir.path(), name, index, &sim)?);
        }
        let cards: Vec<Card> = parties.iter().map(|party| party.card().clone()).collect();
        for (index, party) in parties.iter_mut().enumerate() {
            let others = cards.iter().enumerate().filter(|(other, _)| *other != index);
            others.map(|(_, card)| card.clone()).try_for_each(|card| party.add_peer(card))?;
        }
        // Closed, so that their stores are whole.
        drop(parties);
        let read = |name: &&str| {
            let path = dir.path().join(name).join(STORE_FILE);
            std::fs::read(&path).map_err(|source| io(&path, source))
        };
        let stores = NAMES.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { sim, all, stores, cards })
    }

    /// A person by its place.
    pub fn person(&self, index: usize) -> Option<&Person> {
        self.all.get(index)
    }

    /// Who owns that script.
    pub fn owner(&self, script: &bitcoin::Script) -> Option<&Person> {
        self.all.iter().find(|person| person.script.as_script() == script)
    }

    /// A payment of so many coins to each of these people.
    pub fn funding(&self, sim: &Sim, to: &[usize], coins: usize) -> Option<Arc<Transaction>> {
        let faucet = self.person(FAUCET)?;
        let next = sim.tip().ok()?.height.next().to_u32();
        let mature = |height: Option<Height>| height.is_some_and(|at| at.to_u32() + 100 <= next);
        let spendable = |outpoint: &OutPoint| sim.coin(outpoint).ok().flatten().is_some();
        let (outpoint, coin) = sim
            .coins_of(&faucet.script())
            .into_iter()
            .find(|(outpoint, coin)| mature(coin.height) && spendable(outpoint))?;
        let people = to.iter().filter_map(|index| self.person(*index));
        let pays = |person: &Person| vec![TxOut { value: COIN, script_pubkey: person.script() }; coins];
        let mut outputs: Vec<TxOut> = people.flat_map(pays).collect();
        let paid: Amount = outputs.iter().map(|output| output.value).sum();
        let change = coin.output.value.checked_sub(paid)?.checked_sub(Amount::from_sat(100_000))?;
        outputs.push(TxOut { value: change, script_pubkey: faucet.script() });
        Some(Arc::new(faucet.pay(&[(outpoint, coin.output)], outputs)))
    }
}

/// The configuration of a person's home.
pub fn config(person: usize) -> Config {
    let chain = Chain::regtest();
    let config =
        Config::new(chain, LedgerConfig::Embedded { path: "../ledger".into(), enforce_exponent: false });
    let key_depth = Depth::new(KEY_DEPTHS.get(person).copied().unwrap_or(2));
    // Half of them make liveness coins; all of them meet some.
    let liveness = !person.is_multiple_of(2);
    Config { policy: Policy { key_depth, liveness, ..config.policy }, ..config }
}

fn party(dir: &Path, name: &str, index: usize, sim: &Sim) -> Result<Party, NodeError> {
    let new = NewParty {
        name: name.parse().map_err(|error: BadName| NodeError::Wallet(error.to_string()))?,
        config: config(index),
        mnemonic: words(index)?,
        birthday: birthday(sim)?,
        unlock: Unlock::Insecure,
    };
    Party::create(&dir.join(name), new)
}

fn io(path: &Path, source: std::io::Error) -> NodeError {
    NodeError::Io { action: "use", path: path.to_owned(), source }
}
