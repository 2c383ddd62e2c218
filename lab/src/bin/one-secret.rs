//! Does one thing with one of several secrets, for a test that counts its instructions.
#![cfg_attr(not(feature = "embedded"), allow(missing_docs))]

#[cfg(feature = "embedded")]
mod operations {
    use bitcoin::hashes::Hash;
    use bitcoin::{BlockHash, OutPoint, Txid};
    use keyway_chain::{BlockRef, Chain, Height};
    use keyway_protocol::identity::{NegotiationSecret, PartyKey, PartyRef, SecretChain};
    use keyway_protocol::message::{AnswerForm, Carrier, Tag};
    use keyway_protocol::negotiation::{Context, Draft, NegotiationId, Received, Role};
    use keyway_protocol::ratchet::{BestChain, Ratchet};
    use keyway_protocol::sealing::{Stream, StreamId, seal};
    use keyway_protocol::secret::Secret;
    use keyway_protocol::suite::Suite;

    /// Bits of every kind; which one is used is no secret.
    const SECRETS: [[u8; 32]; 4] =
        [[0; 32], [0xff; 32], [0x5a; 32], *b"\x01a secret that looks as chance!\x80"];

    const GENERATOR: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const TWICE: &str = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";

    struct Blocks;

    impl BestChain for Blocks {
        fn hash_at(&self, height: Height) -> Option<BlockHash> {
            Some(BlockHash::from_byte_array([u8::try_from(height.to_u32()).ok()?; 32]))
        }

        fn tip(&self) -> Height {
            Height::new(20)
        }
    }

    pub fn run(what: &str, which: usize) -> Option<()> {
        let secret = Secret::from_slice(SECRETS.get(which)?)?;
        match what {
            "derive" => derive(secret),
            "compare" => compare(&secret),
            "agree" => agree(secret),
            "seal" => seal_and_open(secret),
            // What the test must notice.
            "leak" => leak(&secret),
            _ => None,
        }
    }

    fn derive(secret: Secret) -> Option<()> {
        let (n, next) = SecretChain::from_parts(0, secret).take();
        std::hint::black_box((n, next.take()));
        Some(())
    }

    fn compare(secret: &Secret) -> Option<()> {
        let (bytes, _) = secret.expose().split_first_chunk::<16>()?;
        let same = Tag::from_bytes(*bytes).matches(&Tag::from_bytes([0x5a; 16]));
        std::hint::black_box(same);
        Some(())
    }

    fn agree(secret: Secret) -> Option<()> {
        let party = |key: &str, digest| {
            let key = PartyKey::from_slice(&hex(key)?).ok()?;
            Some(PartyRef { key, card_digest: [digest; 32], chain: Chain::regtest().id() })
        };
        let context = Context {
            initiator: party(GENERATOR, 1)?,
            responder: party(TWICE, 2)?,
            input0: OutPoint::new(Txid::from_byte_array([3; 32]), 0),
            carrier: Carrier::Value,
        };
        let (ours, theirs) = (NegotiationSecret::from_secret(secret), Secret::from_slice(&[9; 32])?);
        let offer_txid = Txid::from_byte_array([4; 32]);
        let draft = Draft::new(context, Suite::X25519, AnswerForm::Sequences, &ours);
        let received = Received::new(context, draft.offer().clone(), OutPoint::new(offer_txid, 0));
        let (answer, _) = received.answer(&NegotiationSecret::from_secret(theirs)).ok()?;
        let agreed = draft.mined(offer_txid).handle(&answer).ok()?;
        std::hint::black_box((agreed.master_key(), agreed.exporter_key()));
        Some(())
    }

    fn seal_and_open(secret: Secret) -> Option<()> {
        let block = |height| {
            let height = Height::new(height);
            Some(BlockRef::new(height, Blocks.hash_at(height)?))
        };
        let ratchet = Ratchet::from_parts(Height::new(10), block(10)?, secret);
        let session = ratchet.session(&Blocks, block(20)?, Role::Initiator).ok()?;
        let mut stream = Stream::new(StreamId::from_bytes([6; 16]));
        let id = NegotiationId::from_bytes([7; 32]);
        let sealed = seal(&mut stream, id, block(20)?, None, &session, &[8; 100], b"").ok()?;
        std::hint::black_box(sealed.open(&session, b"").ok()?);
        Some(())
    }

    fn leak(secret: &Secret) -> Option<()> {
        let ones = secret.expose().iter().map(|byte| byte.count_ones()).sum::<u32>();
        (0..ones).for_each(|bit| drop(std::hint::black_box(bit.to_string())));
        Some(())
    }

    fn hex(text: &str) -> Option<Vec<u8>> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
    }
}

#[cfg(feature = "embedded")]
fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let which = arguments.next().and_then(|which| which.parse().ok()).unwrap_or_default();
    match operations::run(&what, which) {
        Some(()) => std::process::ExitCode::SUCCESS,
        None => std::process::ExitCode::FAILURE,
    }
}

#[cfg(not(feature = "embedded"))]
fn main() {}
