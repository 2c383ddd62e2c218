//! What a file for third parties shows of a liveness coin (PROTOCOL.md 13.3).

use keyway_carriers::script::liveness::lineage::{Coin, Lineage, Step, What};
use keyway_chain::{Depth, Height};
use keyway_evidence::{LEAD, MOST_HEADERS, MOST_SPENDINGS};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::ratchet::BestChain;

use crate::error::NodeError;
use crate::history::Mined;
use crate::party::Party;
use crate::store::Record;

/// A spending of a liveness coin.
pub(in crate::party) struct SpentCoin<'a> {
    pub(in crate::party) coin: Coin,
    /// Whether the file shows how the coin came to be.
    pub(in crate::party) known: bool,
    pub(in crate::party) by: &'a Mined,
    /// What it names afterwards, if it was moved.
    pub(in crate::party) names: Option<NegotiationId>,
}

impl Party {
    /// What became of the liveness coin that the negotiation began with, or that was moved to it: as far as that is as deep as
    /// asked for, and a file has room for the headers.
    pub(in crate::party) fn spent_coins(
        &self,
        record: &Record,
        offered: Height,
        wants: Depth,
    ) -> Result<Vec<SpentCoin<'_>>, NodeError> {
        let readings = self.readings_with(record.peer)?;
        let lineage = self.lineages(&readings).remove(&record.peer).unwrap_or_default();
        let tip = self.history.tip();
        let most = u32::try_from(MOST_HEADERS).unwrap_or(u32::MAX);
        let room = offered.minus(LEAD).plus(most).minus(wants.to_u32());
        let fits = |spent: &SpentCoin<'_>| {
            spent.by.at.height.depth_under(tip) >= wants && spent.by.at.height <= room
        };
        let steps = way_of(&lineage, &record.id).into_iter();
        let spent = steps.filter_map(|(coin, known, step)| {
            let names = match &step.what {
                What::Moved { to, .. } => Some(to.names.negotiation),
                _ => None,
            };
            Some(SpentCoin { coin, known, by: self.history.mined(&step.txid)?, names })
        });
        Ok(spent.take_while(fits).take(MOST_SPENDINGS).collect())
    }
}

/// From where the coin came to name a negotiation: what was spent, whether it is known how that came to be, and by what.
fn way_of(lineage: &Lineage, id: &NegotiationId) -> Vec<(Coin, bool, Step)> {
    let mut at: Option<Coin> = None;
    let mut way = Vec::new();
    for step in lineage.steps() {
        match &step.what {
            What::Created(coin) if coin.names.negotiation == *id => at = Some(*coin),
            What::Moved { from, to } if at == Some(*from) => {
                way.push((*from, true, step.clone()));
                at = Some(*to);
            }
            // Of several coins the first that came.
            What::Moved { from, to } if at.is_none() && to.names.negotiation == *id => {
                way.push((*from, false, step.clone()));
                at = Some(*to);
            }
            What::Revoked { coin, .. } if at == Some(*coin) => way.push((*coin, true, step.clone())),
            _ => {}
        }
    }
    way
}
