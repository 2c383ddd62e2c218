//! A fleet beside a real node: one depot whose home has a key with each of its vehicles.
//!
//! The depot is a [`Party`] with its store, and answers as `keyway sync` does. Of a vehicle there is what it sends: a card
//! that the depot's operator introduces, and a signed payment that carries an offer.

use std::path::Path;

use bip39::Mnemonic;
use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use keyway_carriers::value;
use keyway_chain::{Chain, Height};
use keyway_ledger::testnode::TestNode;
use keyway_node::{
    Access, Config, Event, Introductions, LedgerConfig, NewParty, NodeConfig, Party, Roster, Unlock, birthday,
};
use keyway_protocol::card::{Card, Permanent, Prekey, Renewable};
use keyway_protocol::identity::{IdentitySecret, NegotiationSecret, PartyRef, Seed};
use keyway_protocol::introduction::Introduction;
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::{Context, Draft};
use keyway_protocol::secret::Secret;
use keyway_protocol::state::State;
use keyway_protocol::suite::Suite;
use serde_json::{Value, json};

/// What a vehicle pays for a key: 23 coins on Bitcoin, some 40 on Litecoin.
const PRICE: Amount = Amount::from_sat(2_500_000);
const FEE: Amount = Amount::from_sat(20_000);
/// Vehicles that offer in one block: as many answers as a home leaves unmined.
const AT_ONCE: usize = 20;
/// Coins made by one transaction.
const COINS: usize = 1_000;

/// A vehicle, as far as it sends something.
struct Vehicle {
    seed: Seed,
    permanent: Permanent,
}

impl Vehicle {
    fn new(n: usize, chain: &Chain) -> Self {
        let mut entropy = [0x5a; 16];
        entropy[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let mnemonic = Mnemonic::from_entropy(&entropy).expect("16 bytes are entropy");
        let seed = Seed::derive(&mnemonic, chain).expect("a mnemonic gives a seed");
        let name = format!("vehicle-{n}").parse().expect("a name");
        let permanent = Permanent::of(name, chain, &seed.identity, &seed.sealing);
        Self { seed, permanent }
    }

    /// Its card, with the prekeys that a home gives it.
    fn card(self, expiry: Height) -> (Card, IdentitySecret) {
        let Seed { identity, prekey_head, .. } = self.seed;
        let (secret, _) = prekey_head.take();
        let prekey =
            |suite: Suite| Prekey { suite: suite.number(), last_height: expiry, key: secret.public(suite) };
        let renewable = Renewable {
            serial: 1,
            expiry,
            suites: Suite::ALL.map(|suite| suite.number()).to_vec(),
            carriers: Carrier::ALL.map(|carrier| carrier.number()).to_vec(),
            prekeys: Suite::WITH_PREKEYS.map(prekey).to_vec(),
        };
        (Card::sign(self.permanent, renewable, &identity).expect("a card"), identity)
    }
}

/// The depot's home in `dir`, beside `node`, with an active key for each of so many vehicles. `told` hears of each.
pub fn build(node: &TestNode, dir: &Path, vehicles: usize, mut told: impl FnMut(usize)) {
    let chain = node.kind().chain();
    node.mine(1, &nobody());
    let mut depot = depot(node, dir, &chain);
    let identities = introduce(&mut depot, node, &chain, vehicles);
    let coins = coins(node, &identities);
    let ledger = node.ledger();
    let own = depot.card().permanent().party_ref();
    for (round, (identities, coins)) in identities.chunks(AT_ONCE).zip(coins.chunks(AT_ONCE)).enumerate() {
        for ((identity, vehicle), coin) in identities.iter().zip(coins) {
            send(node, &offer(&chain, identity, *vehicle, own, *coin));
        }
        node.mine(1, &nobody());
        let synced = depot.sync(&ledger, &mut |_| ()).expect("it follows");
        let answered = synced.events.iter().filter(|event| matches!(event, Event::AnswerSent { .. })).count();
        assert_eq!(answered, identities.len(), "{:?}", synced.events);
        told(round * AT_ONCE + answered);
    }
    node.mine(depot.config().policy.key_depth.to_u32(), &nobody());
    depot.sync(&ledger, &mut |_| ()).expect("it follows");
    let active = depot.told().get(&State::Active).copied();
    assert_eq!(active, Some(vehicles), "{:?}", depot.told());
}

/// Somebody whose coins change hands in every block.
pub struct Shop {
    owner: IdentitySecret,
    coins: Vec<(OutPoint, TxOut)>,
}

impl Shop {
    /// With so many confirmed coins.
    pub fn open(node: &TestNode, coins: u32) -> Self {
        let owner = Vehicle::new(usize::MAX - 2, &node.kind().chain()).seed.identity;
        let script = owner.party().script();
        let block = node.mine(1, &script)[0];
        node.mine(100, &nobody());
        let coinbase = coinbase(node, block.hash);
        let spent = coinbase.output[0].clone();
        let value = (spent.value - FEE) / u64::from(coins);
        let outputs = vec![TxOut { value, script_pubkey: script }; coins as usize];
        let tx = signed(OutPoint::new(coinbase.compute_txid(), 0), &spent, outputs, &owner);
        send(node, &tx);
        node.mine(1, &nobody());
        let coins = (0..)
            .zip(&tx.output)
            .map(|(vout, output)| (OutPoint::new(tx.compute_txid(), vout), output.clone()));
        Self { owner, coins: coins.collect() }
    }

    /// Spends each coin into one like it, and mines a block.
    pub fn trade(&mut self, node: &TestNode) {
        for (outpoint, coin) in &mut self.coins {
            let next = TxOut { value: coin.value - Amount::from_sat(1_000), ..coin.clone() };
            let tx = signed(*outpoint, coin, vec![next.clone()], &self.owner);
            send(node, &tx);
            (*outpoint, *coin) = (OutPoint::new(tx.compute_txid(), 0), next);
        }
        node.mine(1, &nobody());
    }
}

fn nobody() -> ScriptBuf {
    ScriptBuf::from_bytes(vec![0x51])
}

fn depot(node: &TestNode, dir: &Path, chain: &Chain) -> Party {
    let access = Access::Cookie(node.cookie());
    let ledger = LedgerConfig::Node(NodeConfig { url: node.url(), access, enforced: false });
    let mut config = Config::new(chain.clone(), ledger);
    config.introductions =
        Introductions { accept_by: vec!["operator".parse().expect("a name")], roster: None };
    let new = NewParty {
        name: "depot".parse().expect("a name"),
        config,
        mnemonic: Mnemonic::from_entropy(&[0xa5; 16]).expect("16 bytes are entropy"),
        birthday: birthday(&node.ledger()).expect("a tip"),
        unlock: Unlock::Insecure,
    };
    Party::create(dir, new).expect("a home")
}

/// Takes the operator's card by hand, and the vehicles' from its roster.
fn introduce(
    depot: &mut Party,
    node: &TestNode,
    chain: &Chain,
    vehicles: usize,
) -> Vec<(IdentitySecret, PartyRef)> {
    let expiry = node.tip().height.plus(100_000);
    let mut operator = Vehicle::new(usize::MAX, chain);
    operator.permanent.name = "operator".parse().expect("a name");
    let (card, operator) = operator.card(expiry);
    depot.add_peer(card).expect("a card");
    let mut roster = String::new();
    let mut identities = Vec::new();
    for n in 0..vehicles {
        let (card, identity) = Vehicle::new(n, chain).card(expiry);
        let word = Introduction::sign(card.permanent(), 1, expiry, &operator);
        identities.push((identity, card.permanent().party_ref()));
        roster += &format!("{word}\n{card}\n");
    }
    let imported = depot.import(Roster::parse(&roster)).expect("a roster");
    assert_eq!((imported.cards, imported.refused.len()), (vehicles, 0));
    identities
}

/// A confirmed coin for each, just what its offer takes.
fn coins(node: &TestNode, identities: &[(IdentitySecret, PartyRef)]) -> Vec<OutPoint> {
    let bank = Vehicle::new(usize::MAX - 1, &node.kind().chain()).seed.identity;
    let script = bank.party().script();
    let parts = identities.chunks(COINS);
    let blocks = node.mine(parts.len() as u32, &script);
    node.mine(100, &nobody());
    let mut coins = Vec::new();
    for (part, block) in parts.zip(blocks) {
        let coinbase = coinbase(node, block.hash);
        let pays = |(identity, _): &(IdentitySecret, PartyRef)| TxOut {
            value: PRICE + FEE,
            script_pubkey: identity.party().script(),
        };
        let spent = coinbase.output[0].clone();
        let mut outputs: Vec<TxOut> = part.iter().map(pays).collect();
        let paid: Amount = outputs.iter().map(|output| output.value).sum();
        let rest = spent.value - paid - Amount::from_sat(100_000);
        outputs.push(TxOut { value: rest, script_pubkey: script.clone() });
        let tx = signed(OutPoint::new(coinbase.compute_txid(), 0), &spent, outputs, &bank);
        coins.extend((0..part.len() as u32).map(|vout| OutPoint::new(tx.compute_txid(), vout)));
        send(node, &tx);
    }
    node.mine(1, &nobody());
    coins
}

fn coinbase(node: &TestNode, block: bitcoin::BlockHash) -> Transaction {
    let hex: String = node.call("getblock", &[json!(block), json!(0)]);
    let block: bitcoin::Block = bitcoin::consensus::encode::deserialize_hex(&hex).expect("a block");
    block.txdata.into_iter().next().expect("a coinbase")
}

/// A payment of exactly the price, with an offer in its amounts.
fn offer(
    chain: &Chain,
    identity: &IdentitySecret,
    vehicle: PartyRef,
    depot: PartyRef,
    coin: OutPoint,
) -> Transaction {
    let context = Context { initiator: vehicle, responder: depot, input0: coin, carrier: Carrier::Value };
    let secret = Secret::fill_with(|bytes| bytes.copy_from_slice(&vehicle.card_digest));
    let secret = NegotiationSecret::from_secret(secret);
    let draft = Draft::new(context, Suite::X25519, AnswerForm::Sequences, &secret);
    let binding = value::Binding { chain, input0: coin, author: vehicle.key, recipient: depot.key };
    let outputs = value::run::write(&binding, &draft.offer().to_bytes(), PRICE).expect("it pays enough");
    let spent = TxOut { value: PRICE + FEE, script_pubkey: identity.party().script() };
    signed(coin, &spent, outputs, identity)
}

fn signed(coin: OutPoint, spent: &TxOut, outputs: Vec<TxOut>, by: &IdentitySecret) -> Transaction {
    let input = TxIn { previous_output: coin, sequence: Sequence(0xffff_fffd), ..TxIn::default() };
    let mut tx =
        Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: vec![input], output: outputs };
    let digest = SighashCache::new(&tx)
        .p2wpkh_signature_hash(0, &spent.script_pubkey, spent.value, EcdsaSighashType::All)
        .expect("it has an input");
    tx.input[0].witness = Witness::p2wpkh(&by.sign_input(digest), &by.party().to_public_key());
    tx
}

fn send(node: &TestNode, tx: &Transaction) {
    node.call::<Value>("sendrawtransaction", &[json!(serialize_hex(tx))]);
}
