//! A sealed message of this party's own, laid open for others (PROTOCOL.md 13.4).

use keyway_protocol::card::Card;
use keyway_protocol::identity::NegotiationSecret;
use keyway_protocol::message::Carrier;
use keyway_protocol::negotiation::{Received, Role};
use keyway_protocol::secret::Secret;

use super::{OfferRead, Reader};
use crate::store::Record;

impl Reader<'_> {
    /// What this party's sealed message of a negotiation says, and what its encapsulation drew; `None` if nothing is
    /// sealed, or it would not be made again. `answered_at` is the nLockTime of the answer's transaction.
    pub(crate) fn own_letter(
        &self,
        record: &Record,
        peer: &Card,
        secret: &NegotiationSecret,
        offer: &OfferRead,
        answered_at: Option<u32>,
    ) -> Option<(Vec<u8>, Secret)> {
        if record.carrier != Carrier::Static {
            return None;
        }
        let context = self.context(record.role, peer, record.input0, record.carrier);
        match record.role {
            Role::Initiator => {
                let draft = self.draft(record, context, secret, offer.lock_time, offer.message.as_deref())?;
                Some((draft.offer().to_bytes(), draft.ephemeral(secret)))
            }
            Role::Responder => {
                let anchor = offer.carried.anchor();
                let received =
                    Received::new(context, offer.message.as_deref()?.clone(), anchor).at(answered_at?);
                let (answer, _) = received.answer(secret).ok()?;
                Some((answer.to_bytes(), Received::ephemeral(&context, anchor, &answer, secret)))
            }
        }
    }
}
