//! What everybody can see: the blocks, both cards, the two transactions and the messages in them.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Transaction, Txid};
use keyway_carriers::script;
use keyway_carriers::script::lock::{Opening, opening};
use keyway_carriers::value::{self, MessageLen, Run};
use keyway_chain::{BlockRef, Chain, Height};
use keyway_ledger::{Hit, Ledger, LedgerError, Next, Watch};
use keyway_protocol::authorship::Authored;
use keyway_protocol::card::{Card, Permanent};
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::Context;
use keyway_protocol::ratchet::BestChain;
use keyway_protocol::{hash, outpoint_bytes};
use thiserror::Error;

/// The public part of one negotiation.
#[derive(Debug)]
pub struct Seen {
    /// Hashes of the best chain, from genesis up.
    pub blocks: Blocks,
    /// The initiator's card, its permanent part.
    pub initiator: Permanent,
    /// The responder's.
    pub responder: Permanent,
    /// How the messages ride.
    pub carrier: Carrier,
    /// The offer's first output to the responder.
    pub anchor: OutPoint,
    /// What the offer pays.
    pub price: Amount,
    /// The offer's bytes as they stand on the chain: sealed over the static carrier.
    pub offer_bytes: Vec<u8>,
    /// The offer, where it can be read.
    pub offer: Option<Offer>,
    /// The coin that its input 0 spends.
    pub input0: OutPoint,
    /// The answer's bytes as they stand on the chain.
    pub answer_bytes: Vec<u8>,
    /// The answer, where it can be read.
    pub answer: Option<Answer>,
    /// t, which the answer published to open a locked payment.
    pub payment_secret: Option<[u8; 32]>,
    /// Its transaction.
    pub answer_txid: Txid,
    /// Its block: the first of the key.
    pub first: BlockRef,
    /// What its transaction pays to the responder.
    pub netted: Amount,
    /// What its transaction pays to the initiator.
    pub paid_back: Amount,
}

/// The chain does not show a whole negotiation.
#[derive(Debug, Error)]
pub enum NotSeen {
    /// The ledger could not be asked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No offer or no answer.
    #[error("the chain shows no {0} between the two")]
    Missing(&'static str),
}

/// A list of block hashes as a best chain.
#[derive(Debug, Default)]
pub struct Blocks(Vec<BlockHash>);

impl Blocks {
    /// How many blocks there are above genesis.
    pub fn count(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    /// The hashes from `height` on.
    pub fn from(&self, height: Height) -> impl Iterator<Item = &BlockHash> {
        self.0.iter().skip(height.to_u32() as usize)
    }
}

impl From<Vec<BlockHash>> for Blocks {
    fn from(hashes: Vec<BlockHash>) -> Self {
        Self(hashes)
    }
}

impl BestChain for Blocks {
    fn hash_at(&self, height: Height) -> Option<BlockHash> {
        self.0.get(height.to_u32() as usize).copied()
    }

    fn tip(&self) -> Height {
        Height::new(self.count() as u32)
    }
}

impl Seen {
    /// Reads the whole chain for the last negotiation between the holders of the two cards.
    ///
    /// # Errors
    /// [`NotSeen`].
    pub fn new(ledger: &dyn Ledger, initiator: &Card, responder: &Card) -> Result<Self, NotSeen> {
        let (initiator, responder) = (initiator.permanent().clone(), responder.permanent().clone());
        let scripts = [initiator.key.script(), responder.key.script()];
        let (blocks, hits) = read_chain(ledger, scripts)?;
        Self::find(ledger.chain(), blocks, &hits, initiator, responder)
    }

    /// Finds it among the transactions that pay the two.
    pub(super) fn find(
        chain: &Chain,
        blocks: Blocks,
        hits: &[(BlockRef, Hit)],
        initiator: Permanent,
        responder: Permanent,
    ) -> Result<Self, NotSeen> {
        let offers = hits.iter().rev().filter_map(|(_, hit)| offer_in(chain, hit, &initiator, &responder));
        let found = offers.into_iter().next().ok_or(NotSeen::Missing("offer"))?;
        let anchor = found.carried.anchor();
        let spends = |hit: &Hit| hit.tx.input.iter().any(|input| input.previous_output == anchor);
        let (first, hit) = hits.iter().find(|(_, hit)| spends(hit)).ok_or(NotSeen::Missing("answer"))?;
        let answer_bytes = found.answer_in(chain, hit, &initiator).ok_or(NotSeen::Missing("answer"))?;
        let paid = |party: &Permanent| paid_to(&hit.tx, &party.key.script());
        Ok(Self {
            netted: paid(&responder),
            paid_back: paid(&initiator),
            answer_txid: hit.txid,
            first: *first,
            blocks,
            initiator,
            responder,
            carrier: found.carrier,
            anchor,
            price: found.carried.price(),
            offer_bytes: found.bytes,
            offer: found.offer,
            input0: found.input0,
            answer: Answer::from_bytes(found.carrier, &answer_bytes).ok(),
            answer_bytes,
            payment_secret: payment_secret(&hit.tx).filter(|_| found.carrier == Carrier::Dynamic),
        })
    }

    /// What both sides knew before any share was made; all of it is public.
    pub fn context(&self) -> Context {
        Context {
            initiator: self.initiator.party_ref(),
            responder: self.responder.party_ref(),
            input0: self.input0,
            carrier: self.carrier,
        }
    }

    /// Both shares; of messages that cannot be read, all their bytes.
    pub fn shares(&self) -> (&[u8], &[u8]) {
        let offer = self.offer.as_ref().map_or(&self.offer_bytes[..], Offer::share);
        let answer = self.answer.as_ref().map_or(&self.answer_bytes[..], Answer::share);
        (offer, answer)
    }

    /// The keys of 32 bytes in the messages: the shares, or the ends of longer ones, where X-Wing has its X25519 part and
    /// a letter the key that it was sealed with.
    pub fn public_keys(&self) -> Vec<[u8; 32]> {
        let (a, b) = self.shares();
        let ends = |bytes: &[u8]| match bytes.len() {
            32 => vec![bytes.first_chunk().copied()],
            _ => vec![bytes.first_chunk().copied(), bytes.last_chunk().copied()],
        };
        [a, b].into_iter().flat_map(ends).flatten().collect()
    }

    /// th of PROTOCOL.md 8: a hash of public things alone, where the messages can be read.
    pub fn transcript(&self) -> Option<[u8; 32]> {
        let (context, offer, answer) = (self.context(), self.offer.as_ref()?, self.answer.as_ref()?);
        let bytes = answer.to_bytes();
        let without_tag = bytes.get(..bytes.len() - answer.tag().as_bytes().len()).unwrap_or_default();
        Some(hash(
            "transcript",
            &[
                context.chain().as_bytes(),
                &[offer.suite().number()],
                &[context.carrier.number()],
                &context.initiator.key.to_bytes(),
                &context.responder.key.to_bytes(),
                &context.initiator.card_digest,
                &context.responder.card_digest,
                self.anchor.txid.as_byte_array(),
                &outpoint_bytes(self.input0),
                &offer.to_bytes(),
                without_tag,
            ],
        ))
    }
}

fn read_chain(
    ledger: &dyn Ledger,
    scripts: [ScriptBuf; 2],
) -> Result<(Blocks, Vec<(BlockRef, Hit)>), NotSeen> {
    let genesis = BlockRef::new(Height::GENESIS, ledger.chain().genesis());
    let (mut blocks, mut hits) = (vec![genesis.hash], Vec::new());
    let mut watch = Watch::new();
    for script in &scripts {
        watch.add_script(script.clone());
    }
    let mut last = genesis;
    while let Next::Connect(block) = ledger.next(last, &watch)? {
        last = block.at;
        blocks.push(last.hash);
        for hit in block.hits {
            let outputs =
                (0..).zip(&hit.tx.output).filter(|(_, output)| scripts.contains(&output.script_pubkey));
            for (vout, _) in outputs {
                watch.add_outpoint(OutPoint::new(hit.txid, vout));
            }
            hits.push((last, hit));
        }
    }
    Ok((Blocks(blocks), hits))
}

fn authored(hit: &Hit) -> Option<Authored<'_>> {
    Authored::verify(&hit.tx, hit.input_zero.as_ref()?.value).ok()
}

/// An offer's coins and bytes, to somebody without a secret.
struct Found {
    carrier: Carrier,
    carried: Carried,
    bytes: Vec<u8>,
    offer: Option<Offer>,
    input0: OutPoint,
}

enum Carried {
    Run(Run),
    Beside(script::Payment),
}

impl Carried {
    fn anchor(&self) -> OutPoint {
        match self {
            Self::Run(run) => run.anchor(),
            Self::Beside(payment) => payment.anchor(),
        }
    }

    fn price(&self) -> Amount {
        match self {
            Self::Run(run) => run.price(),
            Self::Beside(payment) => payment.price(),
        }
    }
}

fn offer_in(chain: &Chain, hit: &Hit, from: &Permanent, to: &Permanent) -> Option<Found> {
    let authored = authored(hit).filter(|authored| authored.author() == from.key)?;
    let input0 = authored.input0();
    if let Some(run) = value::run::read(chain, &authored, to.key).ok().flatten() {
        let (carrier, bytes) = (Carrier::Value, run.message().to_vec());
        let offer = Some(Offer::from_bytes(carrier, &bytes).ok()?);
        return Some(Found { carrier, carried: Carried::Run(run), bytes, offer, input0 });
    }
    let payment = script::read_offer(chain, &authored, to.key).ok()??;
    let carrier = if payment.locked().is_some() { Carrier::Dynamic } else { Carrier::Static };
    let bytes = payment.message().to_vec();
    let offer = Offer::from_bytes(carrier, &bytes).ok();
    Some(Found { carrier, carried: Carried::Beside(payment), bytes, offer, input0 })
}

impl Found {
    fn answer_in(&self, chain: &Chain, hit: &Hit, initiator: &Permanent) -> Option<Vec<u8>> {
        let authored = authored(hit)?;
        let (Carried::Run(run), Some(offer)) = (&self.carried, &self.offer) else {
            let Carried::Beside(payment) = &self.carried else { return None };
            let read = script::read_answer(chain, &authored, &payment.collected());
            return read.ok().map(|message| message.bytes);
        };
        let coins: Vec<OutPoint> = run.outpoints().collect();
        let len = MessageLen::new(Answer::len_of(offer.suite(), self.carrier)).ok()?;
        match offer.form() {
            AnswerForm::Sequences => value::sequences::read(&authored, &coins, len).ok(),
            AnswerForm::Amounts => {
                let read = value::amounts::read(chain, &authored, &coins, initiator.key, len).ok()?;
                Some(read.message().to_vec())
            }
        }
    }
}

fn payment_secret(tx: &Transaction) -> Option<[u8; 32]> {
    tx.input.iter().find_map(|input| match opening(input) {
        Opening::Collected(t) => Some(t),
        Opening::Returned => None,
    })
}

fn paid_to(tx: &Transaction, script: &ScriptBuf) -> Amount {
    tx.output.iter().filter(|output| output.script_pubkey == *script).map(|output| output.value).sum()
}
