//! The negotiations of two parties, as whoever reads the chain sees them (PROTOCOL.md 13.1).

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::{Amount, OutPoint, Transaction, Txid};
use keyway_carriers::script::liveness::Liveness;
use keyway_carriers::script::liveness::lineage::{self, Epoch, Lineage, Step, What};
use keyway_carriers::script::lock::{Opening, opening};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::message::Answer;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::{Position, in_time};

use crate::headers;
use crate::seen::{NoAnswer, Said, SeenOffer};
use crate::statement::Placed;

/// Blocks whose times make one's median time.
const MEDIAN_OF: usize = 11;

/// A transaction of the best chain, and what its input 0 spent if that is known.
#[derive(Clone, Debug)]
pub struct Mined {
    /// The transaction, with all its witnesses.
    pub tx: Arc<Transaction>,
    /// Where and when.
    pub placed: Placed,
    /// The amount that its input 0 spent.
    pub input0: Option<Amount>,
}

/// One negotiation.
#[derive(Clone, Debug)]
pub struct Traced {
    /// Its id.
    pub negotiation: NegotiationId,
    /// Where the offer is.
    pub offer: Placed,
    /// The offer; it says who and how.
    pub seen: SeenOffer,
    /// What became of it.
    pub ending: Ending,
    /// What became of the pair's liveness coin while it named this one, and what revoked it (PROTOCOL.md 9.4).
    pub coin: Vec<CoinStep>,
}

/// What a transaction did to a liveness coin.
#[derive(Clone, Debug)]
pub struct CoinStep {
    /// The transaction.
    pub at: Placed,
    /// What it did.
    pub what: What,
}

/// What became of an offer, as far as a stranger can tell.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It can still be answered.
    Open,
    /// It cannot any more.
    Expired,
    /// It was answered; whether the responder's tag is right only the parties can tell.
    Answered {
        /// Where.
        at: Placed,
        /// With what.
        said: Said<Answer>,
        /// The pair's next negotiation that was answered.
        superseded_by: Option<NegotiationId>,
        /// The spending of the pair's liveness coin that revoked it, however deep.
        revoked_by: Option<Placed>,
    },
    /// Its anchor was spent by something that is no answer.
    Declined {
        /// Where.
        at: Placed,
        /// Why it is none.
        why: NoAnswer,
    },
    /// The locked payment went back.
    Refunded {
        /// Where.
        at: Placed,
    },
    /// The locked payment was collected without an answer.
    PaidUnanswered {
        /// Where.
        at: Placed,
    },
}

impl Ending {
    /// Its name in output.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Expired => "expired",
            Self::Answered { revoked_by: Some(_), .. } => "revoked",
            Self::Answered { superseded_by: None, .. } => "answered",
            Self::Answered { .. } => "superseded",
            Self::Declined { .. } => "declined",
            Self::Refunded { .. } => "refunded",
            Self::PaidUnanswered { .. } => "paid-unanswered",
        }
    }

    /// The transaction that ended it.
    pub const fn at(&self) -> Option<&Placed> {
        match self {
            Self::Open | Self::Expired => None,
            Self::Answered { at, .. }
            | Self::Declined { at, .. }
            | Self::Refunded { at }
            | Self::PaidUnanswered { at } => Some(at),
        }
    }
}

/// The transactions of two parties, and what they say of one another.
#[derive(Debug)]
pub struct Trace<'a> {
    chain: &'a Chain,
    parties: [PartyKey; 2],
    txs: &'a [Mined],
    by_id: HashMap<Txid, usize>,
    spenders: HashMap<OutPoint, usize>,
}

impl<'a> Trace<'a> {
    /// Of transactions in the chain's order. All that pay one of the two, and all that spend what these pay, must be among
    /// them.
    pub fn new(chain: &'a Chain, parties: [PartyKey; 2], txs: &'a [Mined]) -> Self {
        let by_id = txs.iter().enumerate().map(|(index, mined)| (mined.placed.txid, index)).collect();
        let spends = |(index, mined): (usize, &'a Mined)| {
            mined.tx.input.iter().map(move |input| (input.previous_output, index))
        };
        let spenders = txs.iter().enumerate().flat_map(spends).collect();
        Self { chain, parties, txs, by_id, spenders }
    }

    /// The negotiations of the two, in either direction, in the order of their offers.
    pub fn negotiations(&self, tip: Height) -> Vec<Traced> {
        let mut found: Vec<Traced> =
            self.txs.iter().filter_map(|mined| self.negotiation(mined, tip)).collect();
        let answered = |traced: &Traced| match &traced.ending {
            Ending::Answered { at, .. } => Some((at.block.height, at.index, traced.negotiation)),
            _ => None,
        };
        let mut epochs: Vec<_> = found.iter().filter_map(answered).collect();
        epochs.sort();
        for traced in &mut found {
            if let Ending::Answered { at, superseded_by, .. } = &mut traced.ending {
                let later =
                    epochs.iter().find(|(height, index, _)| (*height, *index) > (at.block.height, at.index));
                *superseded_by = later.map(|(_, _, id)| *id);
            }
        }
        self.add_coins(&mut found);
        found
    }

    fn add_coins(&self, found: &mut [Traced]) {
        let lineage = Lineage::read(found.iter().filter_map(|traced| self.epoch(traced)), |outpoint| {
            self.spender(outpoint).map(in_lineage)
        });
        for traced in found {
            let Ending::Answered { at, revoked_by, .. } = &mut traced.ending else { continue };
            let revocation = lineage.revocation(position(at));
            *revoked_by = revocation.and_then(|step| self.placed(&step.txid));
            let id = traced.negotiation;
            let concerns = |step: &&Step| match &step.what {
                What::Created(coin) => coin.names.negotiation == id,
                What::Moved { from, to } => [from, to].iter().any(|coin| coin.names.negotiation == id),
                What::Revoked { .. } => Some(*step) == revocation,
            };
            let step = |step: &Step| Some(CoinStep { at: self.placed(&step.txid)?, what: step.what.clone() });
            traced.coin = lineage.steps().iter().filter(concerns).filter_map(step).collect();
        }
    }

    /// A negotiation as the lineage of coins takes it.
    fn epoch(&self, traced: &Traced) -> Option<Epoch<'a>> {
        let Ending::Answered { at, .. } = &traced.ending else { return None };
        let (negotiation, initiator) = (traced.negotiation, traced.seen.author());
        let names = Liveness { negotiation, initiator, responder: traced.seen.recipient() };
        let answer = self.txs.get(*self.by_id.get(&at.txid)?)?;
        Some(Epoch { names, answer: in_lineage(answer) })
    }

    fn placed(&self, txid: &Txid) -> Option<Placed> {
        self.txs.get(*self.by_id.get(txid)?).map(|mined| mined.placed)
    }

    /// Payments of one of the two to the other whose author cannot be checked, because the coin they spend is not known.
    pub fn unreadable(&self) -> usize {
        let is_unreadable = |mined: &&Mined| {
            self.amount(mined).is_none()
                && self.claims(mined).is_some_and(|(_, recipient)| {
                    let script = recipient.script();
                    mined.tx.output.iter().any(|output| output.script_pubkey == script)
                })
        };
        self.txs.iter().filter(is_unreadable).count()
    }

    fn negotiation(&self, mined: &Mined, tip: Height) -> Option<Traced> {
        let (_, recipient) = self.claims(mined)?;
        let authored = Authored::verify(&mined.tx, self.amount(mined)?).ok()?;
        let seen = SeenOffer::read(self.chain, &authored, recipient).ok()?;
        let negotiation = NegotiationId::of(self.chain.id(), seen.author(), recipient, seen.input0());
        let ending = self.ending(mined, &seen, tip);
        Some(Traced { negotiation, offer: mined.placed, seen, ending, coin: Vec::new() })
    }

    /// Whom a transaction claims to speak for, by the key that it shows, and the other one.
    fn claims(&self, mined: &Mined) -> Option<(PartyKey, PartyKey)> {
        let claimed = PartyKey::from_slice(mined.tx.input.first()?.witness.nth(1)?).ok()?;
        let [one, other] = self.parties;
        match claimed {
            key if key == one => Some((one, other)),
            key if key == other => Some((other, one)),
            _ => None,
        }
    }

    /// What its input 0 spent: said, or seen before.
    fn amount(&self, mined: &Mined) -> Option<Amount> {
        let outpoint = mined.tx.input.first()?.previous_output;
        let parent = || self.txs.get(*self.by_id.get(&outpoint.txid)?);
        let seen = || parent()?.tx.output.get(usize::try_from(outpoint.vout).ok()?).map(|coin| coin.value);
        mined.input0.or_else(seen)
    }

    fn ending(&self, offer: &Mined, seen: &SeenOffer, tip: Height) -> Ending {
        let height = offer.placed.block.height;
        let spender = self.spender(&seen.anchor());
        let outcome = spender.map(|spender| {
            let in_time = in_time(height, spender.placed.block.height);
            (spender, in_time.then(|| seen.read_answer(self.chain, &spender.tx)))
        });
        if let Some((spender, Some(Ok(said)))) = outcome {
            return Ending::Answered { at: spender.placed, said, superseded_by: None, revoked_by: None };
        }
        if let Some(ending) = self.payment(seen) {
            return ending;
        }
        match outcome {
            Some((spender, Some(Err(why)))) => Ending::Declined { at: spender.placed, why },
            Some((_, _)) => Ending::Expired,
            None if in_time(height, tip.next()) => Ending::Open,
            None => Ending::Expired,
        }
    }

    /// What became of a locked payment that no answer collected.
    fn payment(&self, seen: &SeenOffer) -> Option<Ending> {
        let outpoint = seen.locked()?.outpoint;
        let spender = self.spender(&outpoint)?;
        let at = spender.placed;
        let input = spender.tx.input.iter().find(|input| input.previous_output == outpoint)?;
        Some(match opening(input) {
            Opening::Collected(_) => Ending::PaidUnanswered { at },
            Opening::Returned => Ending::Refunded { at },
        })
    }

    fn spender(&self, outpoint: &OutPoint) -> Option<&'a Mined> {
        self.txs.get(*self.spenders.get(outpoint)?)
    }
}

fn position(placed: &Placed) -> Position {
    Position { height: placed.block.height, index: placed.index }
}

fn in_lineage(mined: &Mined) -> lineage::Mined<'_> {
    lineage::Mined { txid: mined.placed.txid, at: position(&mined.placed), tx: &mined.tx }
}

/// The chain's clock while it is followed block by block.
#[derive(Clone, Debug, Default)]
pub struct Clock(Vec<u32>);

impl Clock {
    /// Takes the next block's time. The median of it and the ten before, once so many were seen or the chain began here.
    pub fn tick(&mut self, block: BlockRef, time: u32) -> Option<u32> {
        if self.0.len() == MEDIAN_OF {
            self.0.remove(0);
        }
        self.0.push(time);
        let since_genesis =
            usize::try_from(block.height.to_u32()).is_ok_and(|below| self.0.len() == below + 1);
        if self.0.len() == MEDIAN_OF || since_genesis { headers::median(self.0.clone()) } else { None }
    }
}
