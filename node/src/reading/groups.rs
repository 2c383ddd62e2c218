//! Groups that the chain has published, and the offers that name them (PROTOCOL.md 6.5).

use keyway_carriers::script::published;
use keyway_chain::Height;
use keyway_protocol::authorship::Authored;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::message::Brought;
use keyway_protocol::suite::{GROUP_DEPTH, Numbers, Published};

use super::{Case, OfferRead, Reader};
use crate::history::Mined;

impl Reader<'_> {
    /// Who published a group in this transaction, and which: whether it may be used is another question.
    pub(crate) fn group_in(&self, mined: &Mined) -> Option<(PartyKey, Numbers)> {
        let authored = Authored::verify(&mined.tx, self.input0_amount(mined)?).ok()?;
        let numbers = published::read(&authored).ok().flatten()?;
        Some((authored.author(), numbers))
    }

    /// The group that an offer mined at `offered` names, and who published it: only one that the best chain has deep
    /// enough below the offer.
    pub(crate) fn published(&self, named: &Published, offered: Height) -> Option<(PartyKey, Numbers)> {
        let mined = self.history.mined(&named.txid)?;
        let deep = mined.at.height.plus(GROUP_DEPTH) <= offered;
        self.group_in(mined).filter(|(_, numbers)| deep && numbers.digest() == named.digest)
    }

    /// Whether the chain has what the offer names. A reorganisation may take it: then there is no key, for either side.
    pub(super) fn group_stands(&self, case: &Case<'_>, offer: &OfferRead) -> bool {
        let named = match (offer.message.as_ref().map(|message| message.group()), &case.record.group) {
            (Some(Brought::Published(named)), _) => Some(*named),
            // One's own sealed offer, whose secret is erased.
            (None, Some(chosen)) => {
                chosen.published.map(|txid| Published { txid, digest: chosen.numbers.digest() })
            }
            _ => None,
        };
        let height = offer.at.map(|at| at.height);
        named.is_none_or(|named| height.is_some_and(|height| self.published(&named, height).is_some()))
    }
}
