//! Nothing that a program may print by accident shows a secret.

use std::fmt::Debug;

use bitcoin::hashes::Hash;
use bitcoin::hex::DisplayHex;
use bitcoin::{BlockHash, OutPoint, Txid};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_protocol::identity::{NegotiationSecret, Seed};
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::{Context, Draft, Received, Role};
use keyway_protocol::ratchet::{BestChain, Ratchet};
use keyway_protocol::suite::Suite;

use crate::common::{car, charger, coin, mnemonic, secret};

/// Everything that is printed, in one text, and the secrets that must not be in it.
#[derive(Default)]
struct Printed {
    text: String,
    secrets: Vec<(&'static str, [u8; 32])>,
}

impl Printed {
    fn print(&mut self, value: &impl Debug) {
        self.text += &format!("{value:?}\n{value:#?}\n{value:x?}\n{value:X?}\n");
    }

    fn hide(&mut self, what: &'static str, secret: &[u8; 32]) {
        self.secrets.push((what, *secret));
    }

    fn assert_hidden(&self) {
        let squeezed: String = self.text.chars().filter(|char| !char.is_whitespace()).collect();
        let squeezed = squeezed.to_lowercase();
        for (what, secret) in &self.secrets {
            // Any eight bytes in a row, as hex and as the lists that derived Debug prints.
            for piece in secret.windows(8) {
                let list = |format: fn(&u8) -> String| piece.iter().map(format).collect::<Vec<_>>().join(",");
                let shapes = [
                    piece.to_lower_hex_string(),
                    list(|byte| format!("{byte}")),
                    list(|byte| format!("{byte:x}")),
                ];
                for shape in shapes {
                    assert!(!squeezed.contains(&shape), "{what} is printed as {shape}");
                }
            }
        }
    }
}

struct OneBlock(BlockRef);

impl BestChain for OneBlock {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        (height == self.0.height).then_some(self.0.hash)
    }

    fn tip(&self) -> Height {
        self.0.height
    }
}

#[test]
fn no_type_prints_the_secrets_it_holds() {
    let mut printed = Printed::default();
    let seed = Seed::derive(&mnemonic(1), &Chain::regtest()).unwrap();
    printed.print(&seed);
    printed.hide("the identity key", seed.identity.to_secret().expose());
    printed.hide("the sealing secret", seed.sealing.as_secret().expose());
    printed.hide("s(0)", seed.chain_head.head().expose());
    printed.print(&(&seed.identity, &seed.sealing, &seed.chain_head));
    let (n, chain) = seed.chain_head.take();
    printed.hide("n(0)", n.as_secret().expose());
    printed.hide("s(1)", chain.head().expose());
    printed.print(&(&n, &chain));
    let exposed = secret(0xd7);
    printed.hide("a secret", exposed.expose());
    printed.print(&Some(&exposed));

    let context = Context {
        initiator: car().party_ref(),
        responder: charger().party_ref(),
        input0: coin(1),
        carrier: Carrier::Value,
    };
    let anchor = OutPoint::new(Txid::from_byte_array([5; 32]), 0);
    let draft = Draft::new(context, Suite::X25519, AnswerForm::Sequences, &n);
    let received = Received::new(context, draft.offer().clone(), anchor);
    printed.print(&(&draft, &received));
    let (answer, agreed) = received.answer(&NegotiationSecret::from_secret(secret(9))).unwrap();
    let waiting = draft.mined(anchor.txid);
    printed.print(&waiting);
    let ours = waiting.handle(&answer).unwrap();
    printed.print(&(&agreed, &ours, &ours.master_key(), &ours.exporter_key()));
    printed.hide("mk", ours.master_key().as_secret().expose());
    printed.hide("the exporter key", ours.exporter_key().expose());

    let block = BlockRef::new(Height::new(7), BlockHash::from_byte_array([8; 32]));
    let ratchet = Ratchet::start(block, ours.master_key());
    let session = ratchet.session(&OneBlock(block), block, Role::Initiator).unwrap();
    printed.hide("sk", session.as_secret().expose());
    printed.print(&(&ratchet, &session));

    assert!(printed.text.contains("<SECRET>"));
    printed.assert_hidden();
}
