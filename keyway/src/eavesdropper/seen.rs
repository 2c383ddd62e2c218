//! What everybody can see: the blocks, both cards, the two transactions and the messages in them.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Transaction, Txid};
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
    /// The offer's run of coins.
    pub run: Run,
    /// The offer.
    pub offer: Offer,
    /// The coin that its input 0 spends.
    pub input0: OutPoint,
    /// The answer.
    pub answer: Answer,
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
        let (run, offer, input0) = offers.into_iter().next().ok_or(NotSeen::Missing("offer"))?;
        let anchor = run.anchor();
        let spends = |hit: &Hit| hit.tx.input.iter().any(|input| input.previous_output == anchor);
        let (first, hit) = hits.iter().find(|(_, hit)| spends(hit)).ok_or(NotSeen::Missing("answer"))?;
        let answer = answer_in(chain, hit, &run, &offer, &initiator).ok_or(NotSeen::Missing("answer"))?;
        let paid = |party: &Permanent| paid_to(&hit.tx, &party.key.script());
        Ok(Self {
            netted: paid(&responder),
            paid_back: paid(&initiator),
            answer_txid: hit.txid,
            first: *first,
            blocks,
            initiator,
            responder,
            run,
            offer,
            input0,
            answer,
        })
    }

    /// What both sides knew before any share was made; all of it is public.
    pub fn context(&self) -> Context {
        Context {
            initiator: self.initiator.party_ref(),
            responder: self.responder.party_ref(),
            input0: self.input0,
            carrier: Carrier::Value,
        }
    }

    /// th of PROTOCOL.md 8: a hash of public things alone.
    pub fn transcript(&self) -> [u8; 32] {
        let context = self.context();
        let answer = self.answer.to_bytes();
        let without_tag = answer.get(..answer.len() - self.answer.tag().as_bytes().len()).unwrap_or_default();
        hash(
            "transcript",
            &[
                context.chain().as_bytes(),
                &[self.offer.suite().number()],
                &[context.carrier.number()],
                &context.initiator.key.to_bytes(),
                &context.responder.key.to_bytes(),
                &context.initiator.card_digest,
                &context.responder.card_digest,
                self.run.anchor().txid.as_byte_array(),
                &outpoint_bytes(self.input0),
                &self.offer.to_bytes(),
                without_tag,
            ],
        )
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

fn offer_in(chain: &Chain, hit: &Hit, from: &Permanent, to: &Permanent) -> Option<(Run, Offer, OutPoint)> {
    let authored = authored(hit).filter(|authored| authored.author() == from.key)?;
    let run = value::run::read(chain, &authored, to.key).ok()??;
    let offer = Offer::from_bytes(run.message()).ok()?;
    Some((run, offer, authored.input0()))
}

fn answer_in(chain: &Chain, hit: &Hit, run: &Run, offer: &Offer, initiator: &Permanent) -> Option<Answer> {
    let authored = authored(hit)?;
    let coins: Vec<OutPoint> = run.outpoints().collect();
    let len = MessageLen::new(Answer::len_of(offer.suite())).ok()?;
    let bytes = match offer.form() {
        AnswerForm::Sequences => value::sequences::read(&authored, &coins, len).ok()?,
        AnswerForm::Amounts => {
            value::amounts::read(chain, &authored, &coins, initiator.key, len).ok()?.message().to_vec()
        }
    };
    Answer::from_bytes(&bytes).ok()
}

fn paid_to(tx: &Transaction, script: &ScriptBuf) -> Amount {
    tx.output.iter().filter(|output| output.script_pubkey == *script).map(|output| output.value).sum()
}
