//! The identity's coins: what can be spent, and the transactions that spend it.
//!
//! The wallet keeps nothing of its own: it is made from the [`History`] whenever that changed, so it
//! says the same after a crash, a bare rollback or a restore (docs/decisions/0001).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use bdk_wallet::bitcoin::{Network, Sequence};
use bdk_wallet::chain::{BlockId, CheckPoint, ConfirmationBlockTime, TxUpdate};
use bdk_wallet::coin_selection::{BranchAndBoundCoinSelection, LargestFirstCoinSelection};
use bdk_wallet::error::CreateTxError;
use bdk_wallet::{LocalOutput, TxBuilder, TxOrdering, Update};
use bitcoin::absolute::LockTime;
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, FeeRate, OutPoint, Psbt, Script, ScriptBuf, Transaction, TxIn, TxOut, Txid, Weight, Witness,
};
use keyway_carriers::script::envelope;
use keyway_carriers::script::liveness::{self, Liveness};
use keyway_chain::Chain;
use keyway_protocol::identity::{IdentitySecret, PartyKey};
use keyway_protocol::ratchet::BestChain;

use crate::error::{FundsError, NodeError};
use crate::history::{History, Mined};
use crate::planted::{self, Bug};
use crate::store::Sent;

/// Confirmed coins that the wallet tries to have, so that offers find one.
pub const IDENTITY_COINS: usize = 4;

/// Unconfirmed transactions after which the wallet stops: nodes refuse longer chains of them.
pub const MOST_UNCONFIRMED: usize = 20;

/// Relative locks are off (bit 31), and replacement is signalled.
pub const PLAIN_SEQUENCE: Sequence = Sequence(0xffff_fffd);

/// Without change if that can be, else the largest coins first: always the same, for chance comes from outside.
type CoinSelection = BranchAndBoundCoinSelection<LargestFirstCoinSelection>;

/// The coins at one moment.
pub struct Wallet {
    inner: bdk_wallet::Wallet,
    key: PartyKey,
    kept: Kept,
    /// Coins beside unspent ones that mined transactions spend which `inner` does not know.
    spent: HashSet<OutPoint>,
    /// Coinbases that cannot be spent in the next block.
    immature: HashSet<Txid>,
    dust: Amount,
    /// What the coin of an envelope holds.
    envelope: Amount,
}

/// Coins that are not for ordinary payments.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// They came with offers: the answers collect them.
    pub for_answers: HashSet<OutPoint>,
    /// They are lent to offers that other wallets fund.
    pub lent: HashSet<OutPoint>,
}

impl Kept {
    fn has(&self, outpoint: &OutPoint) -> bool {
        self.for_answers.contains(outpoint) || self.lent.contains(outpoint)
    }

    fn all(&self) -> Vec<OutPoint> {
        self.for_answers.union(&self.lent).copied().collect()
    }
}

type Builder<'a> = TxBuilder<'a, CoinSelection>;

/// One coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it holds.
    pub amount: Amount,
    /// Whether it is in the chain.
    pub confirmed: bool,
}

/// What the wallet holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Can be spent now, unconfirmed change included.
    pub spendable: Amount,
    /// Confirmed coins that can be spent.
    pub coins: usize,
    /// Came with offers that are not answered yet.
    pub held: Amount,
    /// Lent to offers that other wallets fund.
    pub lent: Amount,
    /// Mined, and not mature yet.
    pub immature: Amount,
}

/// An unsigned transaction with the coins it spends.
pub struct Draft {
    /// The transaction.
    pub tx: Transaction,
    /// What each input spends.
    pub coins: Vec<TxOut>,
    /// The script that one of them pays to the hash of.
    pub envelope: Option<ScriptBuf>,
}

/// What a transaction shall pay, and how.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// Its outputs, in their order; change comes last.
    pub outputs: &'a [TxOut],
    /// What it pays to miners.
    pub feerate: FeeRate,
    /// Its nLockTime; without one it has the tip's height.
    pub lock_time: Option<LockTime>,
    /// The envelope that it shows: the coin, and its script.
    pub envelope: Option<(OutPoint, &'a ScriptBuf)>,
    /// Where more money would have to be sent.
    pub address: &'a str,
}

impl Order<'_> {
    /// What [`Wallet::collect`] gives for a run that pays for itself, said without a wallet. `None` if an envelope or
    /// another coin must join, or one of the run is not there.
    pub fn collect_alone(
        &self,
        chain: &Chain,
        key: PartyKey,
        history: &History,
        run: &[OutPoint],
    ) -> Option<Draft> {
        let script = key.script();
        let own = |outpoint| history.unspent(outpoint).filter(|coin| coin.script_pubkey == script).cloned();
        let coins: Vec<TxOut> = run.iter().map(own).collect::<Option<_>>()?;
        let tip = LockTime::from_height(history.tip().to_u32()).ok()?;
        let input = |&previous_output| TxIn { previous_output, sequence: PLAIN_SEQUENCE, ..TxIn::default() };
        let change = TxOut { value: Amount::ZERO, script_pubkey: script.clone() };
        let tx = Transaction {
            version: Version::TWO,
            lock_time: self.lock_time.unwrap_or(tip),
            input: run.iter().map(input).collect(),
            output: self.outputs.iter().cloned().chain([change]).collect(),
        };
        let mut draft = Draft { tx, coins, envelope: None };
        let fee = self.feerate.fee_wu(draft.signed_weight())?;
        let collected: Amount = draft.coins.iter().map(|coin| coin.value).sum();
        let paid: Amount = self.outputs.iter().map(|output| output.value).sum();
        let rest = collected.checked_sub(paid)?.checked_sub(fee)?;
        draft.tx.output.last_mut()?.value = rest;
        (self.envelope.is_none() && rest >= chain.dust_p2wpkh()).then_some(draft)
    }
}

impl Draft {
    /// What it pays to miners.
    pub fn fee(&self) -> Amount {
        let spent: Amount = self.coins.iter().map(|coin| coin.value).sum();
        spent - self.tx.output.iter().map(|output| output.value).sum()
    }

    /// The most that it weighs once it is signed.
    fn signed_weight(&self) -> Weight {
        /// Element count, a signature of at most 72 bytes and a key of 33, each after its length.
        const WITNESS: u64 = 1 + 1 + 72 + 1 + 33;
        const MARKER_AND_FLAG: u64 = 2;
        self.tx.weight() + Weight::from_wu(MARKER_AND_FLAG + WITNESS * self.coins.len() as u64)
    }
}

impl Wallet {
    /// The wallet that `history` gives.
    ///
    /// # Errors
    /// Only if the wallet library refuses its own parameters or a consistent history.
    pub fn new(chain: &Chain, key: PartyKey, history: &History, kept: Kept) -> Result<Self, NodeError> {
        let mut inner = bdk_wallet::Wallet::create_single(format!("wpkh({key})"))
            // bdk's networks only decide how addresses print; the genesis hash tells chains apart.
            .network(Network::Regtest)
            .genesis_hash(chain.genesis())
            .create_wallet_no_persist()
            .map_err(wallet_error)?;
        inner.reveal_next_address(bdk_wallet::KeychainKind::External);
        let holding = holding(history, &key.script());
        let spent = spent_beside(history, &key.script(), &holding);
        let chain_update = checkpoints(chain, history, &holding)?;
        let tx_update = transactions(history, &holding);
        let update = Update { tx_update, chain: Some(chain_update), ..Update::default() };
        inner.apply_update(update).map_err(wallet_error)?;
        let (dust, envelope) = (chain.dust_p2wpkh(), envelope::amount(chain));
        Ok(Self { inner, key, kept, spent, immature: immature(history).collect(), dust, envelope })
    }

    /// The coins that can be spent, the largest first.
    pub fn coins(&self) -> Vec<Coin> {
        let spendable = |coin: &LocalOutput| {
            !self.kept.has(&coin.outpoint)
                && !self.spent.contains(&coin.outpoint)
                && !self.immature.contains(&coin.outpoint.txid)
        };
        let coin = |coin: LocalOutput| Coin {
            outpoint: coin.outpoint,
            amount: coin.txout.value,
            confirmed: coin.chain_position.is_confirmed(),
        };
        let mut coins: Vec<Coin> = self.inner.list_unspent().filter(spendable).map(coin).collect();
        coins.sort_by_key(|coin| (std::cmp::Reverse(coin.amount), coin.outpoint));
        coins
    }

    /// A payment whose input 0 spends `first`; an envelope comes next.
    ///
    /// # Errors
    /// [`FundsError::TooLittle`] says how much is missing.
    pub fn pay(&mut self, first: OutPoint, order: &Order<'_>) -> Result<Draft, NodeError> {
        self.build(&[first], order, |_| ())
    }

    /// Collects `run`, in its order, into one output behind those of the order; an envelope comes next, and other coins
    /// join if the fee needs them.
    ///
    /// # Errors
    /// [`FundsError::TooLittle`] says how much is missing.
    pub fn collect(&mut self, run: &[OutPoint], order: &Order<'_>) -> Result<Draft, NodeError> {
        let own_script = self.key.script();
        let alone = self.build(run, order, |builder| {
            builder.drain_to(own_script.clone()).manually_selected_only();
        });
        alone.or_else(|_| {
            self.build(run, order, |builder| {
                builder.drain_to(own_script);
            })
        })
    }

    /// A payment to an envelope from whatever coin is there, confirmed ones first, but `spared`.
    ///
    /// # Errors
    /// [`FundsError::TooLittle`], [`FundsError::NoCoinForEnvelope`] if there is no other coin.
    pub fn pay_without(&mut self, spared: OutPoint, order: &Order<'_>) -> Result<Draft, NodeError> {
        let (coins, was_kept) = (self.coins(), !self.kept.lent.insert(spared));
        let others = || coins.iter().filter(|coin| coin.outpoint != spared);
        let first = others().find(|coin| coin.confirmed).or_else(|| others().next());
        let none = || NodeError::Funds(FundsError::NoCoinForEnvelope { address: order.address.to_owned() });
        let first = first.map(|coin| coin.outpoint).ok_or_else(none);
        let draft = first.and_then(|first| self.pay(first, order));
        if !was_kept {
            self.kept.lent.remove(&spared);
        }
        draft
    }

    /// Takes a transaction of this party into account that is about to be sent.
    pub fn note(&mut self, tx: &Transaction) {
        self.inner.apply_unconfirmed_txs([(Arc::new(tx.clone()), u64::MAX)]);
    }

    fn build(
        &mut self,
        run: &[OutPoint],
        order: &Order<'_>,
        more: impl FnOnce(&mut Builder<'_>),
    ) -> Result<Draft, NodeError> {
        let available = self.coins().iter().map(|coin| coin.amount).sum();
        let unspendable = self.kept.all().into_iter().chain(self.spent.iter().copied()).collect();
        let envelope = order.envelope.map(|(outpoint, script)| (outpoint, self.envelope_coin(script)));
        let mut builder = self.inner.build_tx().coin_selection(CoinSelection::default());
        builder.add_utxos(run).map_err(wallet_error)?;
        builder.ordering(TxOrdering::Untouched).version(2).fee_rate(order.feerate).unspendable(unspendable);
        builder.set_exact_sequence(PLAIN_SEQUENCE).only_witness_utxo();
        if let Some((outpoint, (coin, weight))) = envelope {
            let input = bitcoin::psbt::Input { witness_utxo: Some(coin), ..Default::default() };
            builder
                .add_foreign_utxo_with_sequence(outpoint, input, weight, PLAIN_SEQUENCE)
                .map_err(wallet_error)?;
        }
        order.lock_time.map(|at| builder.nlocktime(at));
        for output in order.outputs {
            builder.add_recipient(output.script_pubkey.clone(), output.value);
        }
        more(&mut builder);
        let psbt = builder.finish().map_err(|error| funds(error, available, order.address))?;
        draft(psbt, run, order)
    }

    /// The coin of an envelope, and what spending it weighs.
    fn envelope_coin(&self, script: &ScriptBuf) -> (TxOut, Weight) {
        let message = envelope::open(script).map_or(script.len(), |(_, message)| message.len());
        let coin = TxOut { value: self.envelope, script_pubkey: script.to_p2wsh() };
        (coin, envelope::satisfying_weight(message))
    }

    /// Splits the largest confirmed coin so that [`IDENTITY_COINS`] confirmed ones will exist. `None` if
    /// there are enough, or too little money for more.
    ///
    /// # Errors
    /// If the wallet library fails.
    pub fn split(&mut self, feerate: FeeRate, address: &str) -> Result<Option<Draft>, NodeError> {
        let confirmed: Vec<Coin> = self.coins().into_iter().filter(|coin| coin.confirmed).collect();
        // What is lent comes back.
        let lacking = IDENTITY_COINS.saturating_sub(confirmed.len() + self.kept.lent.len());
        let (Some(largest), true) = (confirmed.first(), lacking > 0) else { return Ok(None) };
        let parts = (lacking + 1) as u64;
        // Each part must pay for being spent many times over, else splitting only feeds miners.
        let least = (self.dust * 20).max(feerate.fee_vb(2_000).unwrap_or(Amount::MAX));
        let part = largest.amount / parts;
        if part < least {
            return Ok(None);
        }
        let output = TxOut { value: part, script_pubkey: self.key.script() };
        let outputs = &vec![output; (parts - 1) as usize];
        let order = Order { outputs, feerate, lock_time: None, envelope: None, address };
        self.pay(largest.outpoint, &order).map(Some)
    }
}

/// What an identity holds, said without a wallet.
pub fn balance(key: PartyKey, history: &History, kept: &Kept) -> Balance {
    let (script, immature) = (key.script(), immature(history).collect::<HashSet<Txid>>());
    let unmined = mutually_possible(history);
    let spent: HashSet<OutPoint> =
        unmined.iter().flat_map(|sent| &sent.tx.input).map(|input| input.previous_output).collect();
    let mined = history.in_order().map(|mined| (mined.txid, mined.tx.as_ref(), true));
    let mut balance = Balance::default();
    for (txid, tx, confirmed) in mined.chain(unmined.iter().map(|sent| (sent.txid, sent.tx.as_ref(), false)))
    {
        for (vout, output) in (0u32..).zip(&tx.output).filter(|(_, output)| output.script_pubkey == script) {
            let outpoint = OutPoint::new(txid, vout);
            if spent.contains(&outpoint) || history.spender(&outpoint).is_some() {
                continue;
            }
            if kept.for_answers.contains(&outpoint) {
                balance.held += output.value;
            } else if kept.lent.contains(&outpoint) {
                balance.lent += output.value;
            } else if immature.contains(&txid) {
                balance.immature += output.value;
            } else {
                balance.spendable += output.value;
                balance.coins += usize::from(confirmed);
            }
        }
    }
    balance
}

/// Of what this home sent and may still be mined, the newest version of each transaction, without what rests on a version
/// that was replaced.
fn mutually_possible(history: &History) -> Vec<&Sent> {
    let mut spent: HashSet<OutPoint> = HashSet::new();
    let mut replaced: HashSet<Txid> = HashSet::new();
    let mut newest = Vec::new();
    for sent in history.hopeful_sent().rev() {
        let inputs = || sent.tx.input.iter().map(|input| input.previous_output);
        if inputs().any(|outpoint| spent.contains(&outpoint)) {
            replaced.insert(sent.txid);
        } else {
            spent.extend(inputs());
            newest.push(sent);
        }
    }
    newest.reverse();
    newest.retain(|sent| {
        let rests = sent.tx.input.iter().any(|input| replaced.contains(&input.previous_output.txid));
        if rests {
            replaced.insert(sent.txid);
        }
        !rests
    });
    newest
}

/// Whether so many confirmed coins can be spent that [`Wallet::split`] has nothing to do; said without a wallet.
/// Nothing may be unmined.
pub fn has_enough_coins(key: PartyKey, history: &History, kept: &Kept) -> bool {
    let script = key.script();
    let immature: HashSet<Txid> = immature(history).collect();
    let outputs = history.in_order().filter(|mined| !immature.contains(&mined.txid)).flat_map(|mined| {
        (0u32..).zip(&mined.tx.output).map(|(vout, output)| (OutPoint::new(mined.txid, vout), output))
    });
    let spendable = |(outpoint, output): &(OutPoint, &TxOut)| {
        output.script_pubkey == script
            && history.spender(outpoint).is_none()
            && !kept.for_answers.contains(outpoint)
    };
    outputs.filter(spendable).take(IDENTITY_COINS).count() == IDENTITY_COINS
}

/// Coinbases need depth 100 in the block that spends them: 99 in the tip.
fn immature(history: &History) -> impl Iterator<Item = Txid> {
    const MATURITY: u32 = 100;
    let next = history.tip().next();
    let young = move |mined: &&Mined| mined.at.height.plus(MATURITY) > next;
    history.in_order().filter(|mined| mined.tx.is_coinbase()).filter(young).map(|mined| mined.txid)
}

fn draft(psbt: Psbt, first: &[OutPoint], order: &Order<'_>) -> Result<Draft, NodeError> {
    let expected = first.iter().copied().chain(order.envelope.map(|(outpoint, _)| outpoint));
    let spends = psbt.unsigned_tx.input.iter().map(|input| Some(input.previous_output));
    if !expected.zip(spends.chain(std::iter::repeat(None))).all(|(expected, found)| found == Some(expected)) {
        return Err(NodeError::Wallet("the coins came in another order than asked for".to_owned()));
    }
    let coins: Option<Vec<TxOut>> = psbt.inputs.iter().map(|input| input.witness_utxo.clone()).collect();
    let coins = coins.ok_or_else(|| NodeError::Wallet("a coin's amount is not known".to_owned()))?;
    Ok(Draft { tx: psbt.unsigned_tx, coins, envelope: order.envelope.map(|(_, script)| script.clone()) })
}

/// Signs every input with SIGHASH_ALL: as a P2WPKH spend of the identity, or by the script of an envelope or a liveness coin.
///
/// # Errors
/// If an input spends another coin.
pub fn sign(draft: Draft, identity: &IdentitySecret) -> Result<Transaction, NodeError> {
    sign_rest(draft, identity, None)
}

/// The same, but for one input whose witness is made.
///
/// # Errors
/// As [`sign`].
pub fn sign_but(
    draft: Draft,
    identity: &IdentitySecret,
    made: (usize, Witness),
) -> Result<Transaction, NodeError> {
    sign_rest(draft, identity, Some(made))
}

fn sign_rest(
    draft: Draft,
    identity: &IdentitySecret,
    made: Option<(usize, Witness)>,
) -> Result<Transaction, NodeError> {
    let Draft { mut tx, coins, envelope } = draft;
    let mut cache = SighashCache::new(&tx);
    let mut witnesses = Vec::with_capacity(coins.len());
    for (index, coin) in coins.iter().enumerate() {
        let made = made.as_ref().filter(|(made, _)| *made == index);
        witnesses.push(match made {
            Some((_, witness)) => witness.clone(),
            None => witness(&mut cache, index, coin, envelope.as_ref(), identity)?,
        });
    }
    for (input, witness) in tx.input.iter_mut().zip(witnesses) {
        input.witness = witness;
    }
    Ok(tx)
}

fn witness(
    cache: &mut SighashCache<&Transaction>,
    index: usize,
    TxOut { value, script_pubkey }: &TxOut,
    envelope: Option<&ScriptBuf>,
    identity: &IdentitySecret,
) -> Result<Witness, NodeError> {
    let (own, all) = (identity.party(), EcdsaSighashType::All);
    if let Some(script) = envelope.filter(|script| script.to_p2wsh() == *script_pubkey) {
        let digest = cache.p2wsh_signature_hash(index, script, *value, all).map_err(wallet_error)?;
        let signature = identity.sign_input(digest);
        let is_liveness = Liveness::of_script(script).is_some();
        let witness = if is_liveness { liveness::witness } else { envelope::witness };
        return Ok(witness(script, &signature));
    }
    if *script_pubkey != own.script() {
        return Err(NodeError::Wallet("an input spends a coin of somebody else".to_owned()));
    }
    let digest = cache.p2wpkh_signature_hash(index, script_pubkey, *value, all).map_err(wallet_error)?;
    Ok(Witness::p2wpkh(&identity.sign_input(digest), &own.to_public_key()))
}

/// Signs input 0, which spends this coin of the identity, with SIGHASH_ALL, and leaves the others as they are.
///
/// # Errors
/// If the coin is somebody else's.
pub fn sign_first(
    mut tx: Transaction,
    coin: &TxOut,
    identity: &IdentitySecret,
) -> Result<Transaction, NodeError> {
    let witness = witness(&mut SighashCache::new(&tx), 0, coin, None, identity)?;
    if let Some(first) = tx.input.first_mut() {
        first.witness = witness;
    }
    Ok(tx)
}

/// The P2WPKH script of a party as an address of its chain.
pub fn address(chain: &Chain, script: &ScriptBuf) -> String {
    let hrp = bitcoin::bech32::Hrp::parse(chain.hrp());
    let program = script.as_bytes().get(2..).unwrap_or_default();
    hrp.ok().and_then(|hrp| bitcoin::bech32::segwit::encode_v0(hrp, program).ok()).unwrap_or_default()
}

/// The mined transactions with coins of the party that no mined one spends. With what is spent beside those
/// ([`spent_beside`]) they decide what can be spent, so a long history costs a wallet nothing.
fn holding<'a>(history: &'a History, script: &Script) -> Vec<&'a Mined> {
    let is_coin = |coin| history.spender(&coin).is_none() || planted::is(Bug::SpentOffered);
    let holds = |mined: &&Mined| coins_in(mined, script).any(is_coin);
    history.in_order().filter(holds).collect()
}

/// The other coins of these: what spent them may hold nothing any more, and then is not among these.
fn spent_beside(history: &History, script: &Script, holding: &[&Mined]) -> HashSet<OutPoint> {
    let coins = holding.iter().flat_map(|mined| coins_in(mined, script));
    coins.filter(|coin| history.spender(coin).is_some() && !planted::is(Bug::SpentOffered)).collect()
}

fn coins_in<'a>(mined: &'a Mined, script: &'a Script) -> impl Iterator<Item = OutPoint> + 'a {
    let outputs = (0u32..).zip(&mined.tx.output).filter(|(_, output)| output.script_pubkey == *script);
    outputs.map(|(vout, _)| OutPoint::new(mined.txid, vout))
}

/// The blocks that the wallet library must know: the tip, and those of transactions.
fn checkpoints(chain: &Chain, history: &History, holding: &[&Mined]) -> Result<CheckPoint, NodeError> {
    let mut blocks: BTreeMap<u32, BlockId> = holding
        .iter()
        .filter_map(|mined| history.block(mined.at.height))
        .chain(history.last())
        .map(|block| (block.at.height.to_u32(), block_id(block.at)))
        .collect();
    blocks.insert(0, BlockId { height: 0, hash: chain.genesis() });
    CheckPoint::from_block_ids(blocks.into_values())
        .map_err(|_| NodeError::Wallet("blocks out of order".to_owned()))
}

fn transactions(history: &History, holding: &[&Mined]) -> TxUpdate<ConfirmationBlockTime> {
    let mut update = TxUpdate::default();
    let mut anchors = BTreeSet::new();
    for mined in holding {
        let Some(block) = history.block(mined.at.height) else { continue };
        let confirmed =
            ConfirmationBlockTime { block_id: block_id(block.at), confirmation_time: block.time.into() };
        anchors.insert((confirmed, mined.txid));
        update.txs.push(Arc::clone(&mined.tx));
    }
    for sent in history.hopeful_sent() {
        // The order of sending stands for the time: it decides between two that exclude each other.
        update.seen_ats.insert((sent.txid, sent.seq));
        update.txs.push(Arc::clone(&sent.tx));
    }
    update.anchors = anchors;
    update
}

fn block_id(block: keyway_chain::BlockRef) -> BlockId {
    BlockId { height: block.height.to_u32(), hash: block.hash }
}

fn funds(error: CreateTxError, available: Amount, address: &str) -> NodeError {
    match error {
        CreateTxError::CoinSelection(short) => NodeError::Funds(FundsError::TooLittle {
            needed: short.needed,
            available,
            address: address.to_owned(),
        }),
        other => wallet_error(other),
    }
}

fn wallet_error(error: impl std::fmt::Display) -> NodeError {
    NodeError::Wallet(error.to_string())
}
