//! What became of the liveness coin of a negotiation: shown in a file, and checked (PROTOCOL.md 13.3).

use bitcoin::{Amount, EcdsaSighashType, OutPoint, Transaction, Witness, ecdsa};
use keyway_carriers::script::liveness::{self, Liveness};
use keyway_chain::Height;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::negotiation::{Context, NegotiationId, Role};
use keyway_protocol::state::Position;

use crate::file::{Evidence, stripped};
use crate::merkle::Branch;
use crate::statement::{AnswerSeen, CoinSeen, Placed, SpendingSeen, SpentFor};
use crate::verify::Refused;

/// The most spendings that a file holds.
pub const MOST_SPENDINGS: usize = 64;

/// A spending of a liveness coin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spending {
    /// Its block's height.
    pub height: Height,
    /// Its way to the header.
    pub branch: Branch,
    /// The transaction, without witnesses.
    pub tx: Transaction,
    /// What the coin named that it spent, and what that held, where it is not the answer's or the last spending's: then it is
    /// what brought the coin to this negotiation.
    pub from: Option<(NegotiationId, Amount)>,
    /// The signature that opened the coin, where it is of a usual kind.
    pub signature: Option<Vec<u8>>,
    /// The negotiation that the coin names afterwards, if it is moved.
    pub names: Option<NegotiationId>,
}

impl Spending {
    /// As a file shows it; `coin` is what `tx` spends, and whether the reader knows that already.
    pub fn new(
        (height, branch): (Height, Branch),
        tx: &Transaction,
        (coin, known): (&liveness::lineage::Coin, bool),
        names: Option<NegotiationId>,
    ) -> Self {
        let input = tx.input.iter().position(|input| input.previous_output == coin.outpoint);
        let by = input.and_then(|input| coin.names.spent_by(tx, input, coin.amount));
        let witness = input.and_then(|input| Some(&tx.input.get(input)?.witness));
        let signature = by.and(witness).and_then(|witness| witness.nth(1)).filter(|it| is_usual(it));
        let signature = signature.map(<[u8]>::to_vec);
        let from = (!known).then_some((coin.names.negotiation, coin.amount));
        Self { height, branch, tx: stripped(tx), from, signature, names }
    }

    /// Its place in the chain.
    pub fn position(&self) -> Position {
        Position { height: self.height, index: self.branch.index }
    }
}

/// A coin that a spending must spend.
struct Held {
    outpoint: OutPoint,
    amount: Amount,
    names: Liveness,
}

/// The coin that the answer created, and its spendings.
pub(crate) type Living = (Option<CoinSeen>, Vec<SpendingSeen>);

impl Evidence {
    /// That each spending is in its block, spends what the one before left, and does what is said of it.
    pub(crate) fn check_spendings(
        &self,
        context: &Context,
        answer: Option<&AnswerSeen>,
    ) -> Result<Living, Refused> {
        let mut last = self.answer.as_ref().unwrap_or(&self.offer).position();
        let mut held = self.created(context, answer);
        let coin = held.as_ref().map(|held| CoinSeen { outpoint: held.outpoint, amount: held.amount });
        let mut seen = Vec::new();
        for (index, spending) in self.spendings.iter().enumerate() {
            let placed = self.place_tx(spending.height, &spending.branch, &spending.tx, "spending")?;
            if answer.is_none() || spending.position() <= last {
                return Err(Refused::SpendingOrder(placed.txid));
            }
            last = spending.position();
            let spent = match (held.take(), spending.from) {
                (Some(spent), None) => spent,
                (None, Some(from)) if index == 0 => {
                    arriving(context, &spending.tx, from).ok_or(Refused::NotSpending(placed.txid))?
                }
                _ => return Err(Refused::NotSpending(placed.txid)),
            };
            let (one, left) = self.check_spending(context, spending, &spent, placed)?;
            if spending.from.is_some() && one.spent_for != SpentFor::Moved(context.id()) {
                return Err(Refused::NotMoved(placed.txid));
            }
            seen.push(one);
            held = left;
        }
        Ok((coin, seen))
    }

    fn created(&self, context: &Context, answer: Option<&AnswerSeen>) -> Option<Held> {
        let (Some(entry), Some(answer)) = (&self.answer, answer) else { return None };
        let (initiator, responder) = (context.initiator.key, context.responder.key);
        let names = Liveness { negotiation: context.id(), initiator, responder };
        let (vout, output) = names.find(&entry.tx)?;
        Some(Held { outpoint: OutPoint::new(answer.placed.txid, vout), amount: output.value, names })
    }

    fn check_spending(
        &self,
        context: &Context,
        spending: &Spending,
        spent: &Held,
        placed: Placed,
    ) -> Result<(SpendingSeen, Option<Held>), Refused> {
        let spends = |input: &bitcoin::TxIn| input.previous_output == spent.outpoint;
        let input = spending.tx.input.iter().position(spends).ok_or(Refused::NotSpending(placed.txid))?;
        let by = match &spending.signature {
            None => None,
            Some(signature) => {
                let by = signer(&spending.tx, input, spent, signature);
                Some(by.ok_or(Refused::CoinSignature(placed.txid))?)
            }
        };
        let left = match spending.names {
            Some(id) if input == 0 => {
                Some(left(context, spending, placed, id).ok_or(Refused::NotMoved(placed.txid))?)
            }
            Some(_) => return Err(Refused::NotMoved(placed.txid)),
            None => None,
        };
        let into_script = spending.tx.output.first().is_some_and(|output| output.script_pubkey.is_p2wsh());
        let spent_for = match spending.names {
            Some(id) => SpentFor::Moved(id),
            None if input == 0 && into_script => SpentFor::Unknown,
            None => SpentFor::Revoking,
        };
        let from = spending.from.map(|(id, _)| id);
        Ok((SpendingSeen { placed, by, from, spent_for }, left))
    }
}

/// A coin of the two that names another negotiation of theirs.
fn arriving(context: &Context, tx: &Transaction, (id, amount): (NegotiationId, Amount)) -> Option<Held> {
    let outpoint = tx.input.first()?.previous_output;
    // Which of the two began that one, the signature tells.
    let [names, _] = both(context, id);
    Some(Held { outpoint, amount, names })
}

/// That negotiation of the two, begun by either.
fn both(context: &Context, negotiation: NegotiationId) -> [Liveness; 2] {
    let (one, other) = (context.initiator.key, context.responder.key);
    [(one, other), (other, one)].map(|(initiator, responder)| Liveness { negotiation, initiator, responder })
}

fn swapped(names: &Liveness) -> Liveness {
    Liveness { initiator: names.responder, responder: names.initiator, ..*names }
}

/// What a move leaves.
fn left(context: &Context, spending: &Spending, placed: Placed, id: NegotiationId) -> Option<Held> {
    let output = spending.tx.output.first()?;
    let pays = |names: &Liveness| names.script().to_p2wsh() == output.script_pubkey;
    let names = both(context, id).into_iter().find(pays)?;
    Some(Held { outpoint: OutPoint::new(placed.txid, 0), amount: output.value, names })
}

/// Whose signature it is.
fn signer(tx: &Transaction, input: usize, spent: &Held, signature: &[u8]) -> Option<PartyKey> {
    if !is_usual(signature) {
        return None;
    }
    let by = |names: &Liveness| {
        let mut tx = tx.clone();
        tx.input.get_mut(input)?.witness =
            Witness::from_slice(&[&[][..], signature, names.script().as_bytes()]);
        let role = names.spent_by(&tx, input, spent.amount)?;
        Some(match role {
            Role::Initiator => names.initiator,
            Role::Responder => names.responder,
        })
    };
    by(&spent.names).or_else(|| by(&swapped(&spent.names)))
}

/// Strict DER with low S, of all of the transaction (PROTOCOL.md 5).
fn is_usual(signature: &[u8]) -> bool {
    let Ok(signature) = ecdsa::Signature::from_slice(signature) else { return false };
    let mut low = signature.signature;
    low.normalize_s();
    signature.sighash_type == EcdsaSighashType::All && low == signature.signature
}
