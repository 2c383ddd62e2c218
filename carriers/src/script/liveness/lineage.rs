//! What became of a pair's liveness coins: created, moved, spent otherwise (PROTOCOL.md 9.4).

use bitcoin::{Amount, OutPoint, Transaction, Txid};
use keyway_chain::Height;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::Role;
use keyway_protocol::state::Position;

use super::Liveness;

/// A transaction of the best chain.
#[derive(Clone, Copy, Debug)]
pub struct Mined<'a> {
    /// Its id.
    pub txid: Txid,
    /// Its place.
    pub at: Position,
    /// The transaction.
    pub tx: &'a Transaction,
}

/// A negotiation of the pair that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Epoch<'a> {
    /// Its name and its sides.
    pub names: Liveness,
    /// The answer.
    pub answer: Mined<'a>,
}

/// A liveness coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it holds.
    pub amount: Amount,
    /// The epoch that it names.
    pub names: Liveness,
    /// Where the answer of that epoch is.
    answered: Position,
}

impl Coin {
    /// One of which only itself matters.
    pub fn new(outpoint: OutPoint, amount: Amount, names: Liveness) -> Self {
        Self { outpoint, amount, names, answered: Position { height: Height::GENESIS, index: 0 } }
    }

    /// Where the answer of the epoch is that it names.
    pub fn answered(&self) -> Position {
        self.answered
    }
}

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its id.
    pub txid: Txid,
    /// Its place.
    pub at: Position,
    /// What it did.
    pub what: What,
}

/// What a transaction did to coins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An answer created it.
    Created(Coin),
    /// It names another epoch now.
    Moved {
        /// As it was.
        from: Coin,
        /// As it is.
        to: Coin,
    },
    /// It was spent otherwise: every epoch that was answered before is revoked.
    Revoked {
        /// The coin.
        coin: Coin,
        /// Whose signature did it, where that can be told.
        by: Option<PartyKey>,
    },
}

/// The coins of a pair, as far as the chain goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    steps: Vec<Step>,
    live: Vec<Coin>,
}

impl Lineage {
    /// Of the pair's answered negotiations; `spender` says what spends an outpoint.
    pub fn read<'a>(
        epochs: impl IntoIterator<Item = Epoch<'a>>,
        spender: impl Fn(&OutPoint) -> Option<Mined<'a>>,
    ) -> Self {
        let mut epochs: Vec<Epoch<'a>> = epochs.into_iter().collect();
        epochs.sort_by_key(|epoch| epoch.answer.at);
        let mut lineage = Self::default();
        for epoch in &epochs {
            lineage.spend(&epochs, &spender, Some(epoch.answer.at));
            lineage.create(epoch);
        }
        lineage.spend(&epochs, &spender, None);
        lineage
    }

    /// What happened, in the chain's order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The coins that live.
    pub fn live(&self) -> &[Coin] {
        &self.live
    }

    /// What revokes the epoch whose answer is there, and does so first.
    pub fn revocation(&self, answer: Position) -> Option<&Step> {
        let revokes = |step: &&Step| step.at > answer && matches!(step.what, What::Revoked { .. });
        self.steps.iter().find(revokes)
    }

    /// The spendings of live coins, up to and with what stands at `end`: an answer creates its coin after what it spends.
    fn spend<'a>(
        &mut self,
        epochs: &[Epoch<'a>],
        spender: &impl Fn(&OutPoint) -> Option<Mined<'a>>,
        end: Option<Position>,
    ) {
        let next = |live: &[Coin]| {
            let spenders = live.iter().filter_map(|coin| spender(&coin.outpoint));
            spenders.filter(|mined| end.is_none_or(|end| mined.at <= end)).min_by_key(|mined| mined.at)
        };
        while let Some(mined) = next(&self.live) {
            let what = self.spent(epochs, &mined);
            let Some(what) = what else { return };
            self.steps.push(Step { txid: mined.txid, at: mined.at, what });
        }
    }

    /// What a transaction that spends live coins does to them.
    fn spent(&mut self, epochs: &[Epoch<'_>], mined: &Mined<'_>) -> Option<What> {
        let spends = |coin: &Coin| input_of(mined.tx, coin);
        let mut spent = self.live.iter().copied().filter(|coin| spends(coin).is_some());
        let (from, others) = (spent.next()?, spent.count());
        let target = epochs.iter().find_map(|epoch| moved(epoch, &from, mined));
        if let (Some(to), 0) = (target, others) {
            self.live.retain(|coin| coin.outpoint != from.outpoint);
            self.live.push(to);
            return Some(What::Moved { from, to });
        }
        self.live.clear();
        let by = spends(&from).and_then(|input| from.names.spent_by(mined.tx, input, from.amount));
        let by = by.map(|role| match role {
            Role::Initiator => from.names.initiator,
            Role::Responder => from.names.responder,
        });
        Some(What::Revoked { coin: from, by })
    }

    fn create(&mut self, epoch: &Epoch<'_>) {
        let Mined { txid, at, tx } = epoch.answer;
        let Some((vout, output)) = epoch.names.find(tx) else { return };
        let (outpoint, amount) = (OutPoint::new(txid, vout), output.value);
        let coin = Coin { outpoint, amount, names: epoch.names, answered: at };
        self.live.push(coin);
        self.steps.push(Step { txid, at, what: What::Created(coin) });
    }
}

fn input_of(tx: &Transaction, coin: &Coin) -> Option<usize> {
    tx.input.iter().position(|input| input.previous_output == coin.outpoint)
}

/// The coin that names `epoch`, if `mined` moves `from` there.
fn moved(epoch: &Epoch<'_>, from: &Coin, mined: &Mined<'_>) -> Option<Coin> {
    let at = epoch.answer.at;
    let output = mined.tx.output.first().filter(|output| output.script_pubkey.is_p2wsh())?;
    let moves = at < mined.at
        && epoch.names != from.names
        && input_of(mined.tx, from) == Some(0)
        && output.script_pubkey == epoch.names.script().to_p2wsh();
    let outpoint = OutPoint::new(mined.txid, 0);
    moves.then_some(Coin { outpoint, amount: output.value, names: epoch.names, answered: at })
}
