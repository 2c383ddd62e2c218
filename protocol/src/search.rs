//! Which secret a message on the chain was made from (PROTOCOL.md 3.4): what a party asks that has its secrets again, and
//! no longer knows what it used each for.
//!
//! Each share is bound to its negotiation, so none can be computed before the negotiation is known; but it is compared
//! without agreeing on anything: what a trial costs is making the share.

use bitcoin::OutPoint;

use crate::identity::NegotiationSecret;
use crate::negotiation::{Context, initiator_binding, responder_binding};
use crate::suite::{ShareSecret, Suite, respond};

/// Whether the initiator's share in this negotiation was made from `secret`, in a suite that brings no group.
pub fn made_share_a(context: &Context, suite: Suite, secret: &NegotiationSecret, share: &[u8]) -> bool {
    ShareSecret::derive(suite, None, secret, &initiator_binding(context)).public() == share
}

/// Whether the responder's share in this negotiation was made from `secret`: share A is what it answers, in the
/// transaction whose first output to the responder is `anchor`. The suite brings no group.
pub fn made_share_b(
    context: &Context,
    anchor: OutPoint,
    suite: Suite,
    secret: &NegotiationSecret,
    share_a: &[u8],
    share: &[u8],
) -> bool {
    let binding = responder_binding(context, anchor);
    match suite {
        // The share is what is encapsulated to share A.
        Suite::X25519MlKem768 => {
            respond(suite, None, secret, &binding, share_a).is_ok_and(|(made, _)| made == share)
        }
        _ => ShareSecret::derive(suite, None, secret, &binding).public() == share,
    }
}
