//! What a home keeps that neither its mnemonic nor the chain tells (PROTOCOL.md 3.5): one text, signed by the identity, in
//! which no secret stands.

mod read;

use std::fmt::{self, Write};
use std::str::FromStr;

use bitcoin::Txid;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::hex::DisplayHex;
use keyway_chain::{BlockRef, Height};
use keyway_protocol::backup::{self, SIGNATURE_LEN};
use keyway_protocol::card::Card;
use keyway_protocol::identity::IdentitySecret;
use keyway_protocol::introduction::Introduction;
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::suite::Suite;

pub use self::read::BackupError;
use crate::peers::Mark;
use crate::store::{Chosen, Envelope};

/// Room for a thousand of the largest cards.
pub const MOST_BACKUP_BYTES: u64 = 64 << 20;

const HEAD: &str = "keyway-backup 1";
const SUM_LEN: usize = 4;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    pub(crate) facts: Facts,
    sum: [u8; SUM_LEN],
    signature: [u8; SIGNATURE_LEN],
}

/// What a backup says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    /// The party's own card.
    pub(crate) card: Card,
    /// The block that the chain was followed from.
    pub(crate) birthday: BlockRef,
    /// The last followed block when it was written.
    pub(crate) tip: BlockRef,
    /// The index that the next negotiation would have taken.
    pub(crate) next_secret: u32,
    /// The index that the next generation of prekeys would have taken.
    pub(crate) next_prekey: u32,
    /// The generations that were kept, with their last heights.
    pub(crate) generations: Vec<(u32, Height)>,
    /// The peers, and how the party stood to them.
    pub(crate) peers: Vec<(Card, Mark)>,
    /// Introductions and withdrawals, others' and the party's own.
    pub(crate) words: Vec<Introduction>,
    /// The peers' prekeys that the party's own offers were made to.
    pub(crate) offered_to: Vec<(Suite, Vec<u8>)>,
    /// The groups that the party's own offers brought.
    pub(crate) groups: Vec<Chosen>,
    /// Negotiations whose answer's key the peer has shown to have.
    pub(crate) confirmed: Vec<(NegotiationId, Txid)>,
    /// Bytes that were sealed and opened.
    pub(crate) volumes: Vec<(NegotiationId, u64)>,
    /// Envelopes whose commit may have been sent, and which nothing may have shown.
    pub(crate) envelopes: Vec<Envelope>,
    /// The text of the configuration.
    pub(crate) config: String,
}

impl Backup {
    pub(crate) fn sign(facts: Facts, identity: &IdentitySecret) -> Self {
        let body = facts.to_string();
        let signature = backup::sign(body.as_bytes(), identity);
        Self { facts, sum: sum(&body), signature }
    }

    /// The party's own card when it was written.
    pub fn card(&self) -> &Card {
        &self.facts.card
    }

    /// The last block that the party had followed when it was written.
    pub fn tip(&self) -> BlockRef {
        self.facts.tip
    }

    /// The block that the party followed the chain from.
    pub fn birthday(&self) -> BlockRef {
        self.facts.birthday
    }

    /// The configuration's text.
    pub fn config(&self) -> &str {
        &self.facts.config
    }

    /// How many peers it names.
    pub fn peers(&self) -> usize {
        self.facts.peers.len()
    }
}

fn sum(body: &str) -> [u8; SUM_LEN] {
    let [a, b, c, d, ..] = sha256::Hash::hash(body.as_bytes()).to_byte_array();
    [a, b, c, d]
}

impl fmt::Display for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sum, signature) = (self.sum.as_hex(), self.signature.as_hex());
        writeln!(f, "{}sum {sum}\nsignature {signature}", self.facts)
    }
}

impl FromStr for Backup {
    type Err = BackupError;

    fn from_str(text: &str) -> Result<Self, BackupError> {
        read::backup(text)
    }
}

/// The body: all that is signed.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        writeln!(
            f,
            "# What restoring this party takes beside its words. No secret stands here; keep it with them."
        )?;
        writeln!(f, "card {}", self.card)?;
        for (what, block) in [("birthday", self.birthday), ("tip", self.tip)] {
            writeln!(f, "{what} {} {}", block.height.to_u32(), block.hash)?;
        }
        writeln!(f, "secrets {}\nprekeys {}", self.next_secret, self.next_prekey)?;
        for (index, last) in &self.generations {
            writeln!(f, "generation {index} {}", last.to_u32())?;
        }
        for (card, mark) in &self.peers {
            writeln!(f, "peer {} {card}", standing(*mark))?;
        }
        self.words.iter().try_for_each(|word| writeln!(f, "word {word}"))?;
        for (suite, key) in &self.offered_to {
            writeln!(f, "offered-to {suite} {}", key.as_hex())?;
        }
        for Chosen { numbers, .. } in &self.groups {
            let (p, g) = (numbers.modulus().as_hex(), numbers.generator().as_hex());
            writeln!(f, "group {p} {g}")?;
        }
        for (id, answer) in &self.confirmed {
            writeln!(f, "confirmed {id} {answer}")?;
        }
        for (id, bytes) in &self.volumes {
            writeln!(f, "volume {id} {bytes}")?;
        }
        for Envelope { id, outpoint, script } in &self.envelopes {
            writeln!(f, "envelope {} {id} {}", outpoint.txid, script.as_bytes().as_hex())?;
        }
        self.config.lines().try_for_each(|line| {
            f.write_str("config ")?;
            // What is not printed in one line is no configuration that this program wrote.
            line.chars().filter(|c| !c.is_control() || *c == '\t').try_for_each(|c| f.write_char(c))?;
            f.write_char('\n')
        })
    }
}

const STANDINGS: [(&str, Mark); 4] = [
    ("accepted", Mark { introduced: false, revoked: false }),
    ("introduced", Mark { introduced: true, revoked: false }),
    ("revoked", Mark { introduced: false, revoked: true }),
    ("introduced-revoked", Mark { introduced: true, revoked: true }),
];

fn standing(mark: Mark) -> &'static str {
    STANDINGS.iter().find(|(_, other)| *other == mark).map_or("accepted", |(name, _)| name)
}
