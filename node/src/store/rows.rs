//! The rows of the store and their columns.

use bitcoin::consensus::encode;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, Transaction, Txid};
use keyway_chain::{BlockRef, Height};
use keyway_protocol::card::Card;
use keyway_protocol::identity::PartyKey;
use keyway_protocol::introduction::Introduction;
use keyway_protocol::message::{AnswerForm, Carrier, Tag};
use keyway_protocol::negotiation::{Fingerprint, NegotiationId, Role};
use keyway_protocol::sealing::StreamId;
use keyway_protocol::state::State;
use keyway_protocol::suite::{Numbers, Suite};
use rusqlite::{Row, params};
use std::sync::Arc;

use super::{Store, execute, one};
use crate::error::NodeError;
use crate::peers::Mark;
use crate::planted::{self, Bug};

/// Why this home sent a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// It carries the offer of a negotiation.
    Offer(NegotiationId),
    /// It carries the answer of a negotiation.
    Answer(NegotiationId),
    /// It splits a coin into several, so that offers find confirmed ones.
    Split,
    /// It takes back the locked payment of a negotiation's offer.
    Refund(NegotiationId),
    /// It pays to the envelope that a message of a negotiation rides in.
    Commit(NegotiationId),
    /// It takes an envelope back that no message will show.
    TakeBack(NegotiationId),
    /// It publishes a group.
    Group,
    /// It pays by the paper's value channel, for study.
    Study,
    /// It takes the coin of an unmined offer's input 0 back, and so the offer's place.
    Cancel(NegotiationId),
    /// It moves a pair's liveness coin to a negotiation.
    Move(NegotiationId),
    /// It spends the liveness coin that names a negotiation, and so revokes the pair's keys.
    Revoke(NegotiationId),
    /// None any more: it is not sent again, and kept for another that rests on it, which is excluded when it is.
    Withdrawn,
}

impl Purpose {
    /// What to call it in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Offer(_) => "offer",
            Self::Answer(_) => "answer",
            Self::Split => "split",
            Self::Refund(_) => "refund",
            Self::Commit(_) => "envelope",
            Self::TakeBack(_) => "return of an envelope",
            Self::Group => "publication",
            Self::Study => "payment",
            Self::Cancel(_) => "return of an offer's coin",
            Self::Move(_) => "move of the liveness coin",
            Self::Revoke(_) => "revocation",
            Self::Withdrawn => "withdrawn transaction",
        }
    }

    /// The negotiation it belongs to.
    pub fn negotiation(self) -> Option<NegotiationId> {
        match self {
            Self::Split | Self::Group | Self::Study | Self::Withdrawn => None,
            Self::Offer(id)
            | Self::Answer(id)
            | Self::Refund(id)
            | Self::Commit(id)
            | Self::TakeBack(id)
            | Self::Cancel(id)
            | Self::Move(id)
            | Self::Revoke(id) => Some(id),
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Offer(_) => 0,
            Self::Answer(_) => 1,
            Self::Split => 2,
            Self::Refund(_) => 3,
            Self::Commit(_) => 4,
            Self::TakeBack(_) => 5,
            Self::Group => 6,
            Self::Study => 7,
            Self::Cancel(_) => 8,
            Self::Move(_) => 9,
            Self::Revoke(_) => 10,
            Self::Withdrawn => 11,
        }
    }
}

/// A transaction that this home made, stored before it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Counts what this home sent.
    pub seq: u64,
    /// The transaction.
    pub tx: Arc<Transaction>,
    /// Its id.
    pub txid: Txid,
    /// What it is for.
    pub purpose: Purpose,
    /// What it pays to miners.
    pub fee: Amount,
}

/// One negotiation, as far as the chain alone does not say it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its id.
    pub id: NegotiationId,
    /// Which side this home is.
    pub role: Role,
    /// The other side.
    pub peer: PartyKey,
    /// Which secret it took; none for an offer that is not answered yet.
    pub secret_index: Option<u32>,
    /// Its key agreement.
    pub suite: Suite,
    /// How its messages ride.
    pub carrier: Carrier,
    /// Where its answer rides.
    pub form: AnswerForm,
    /// The coin that the offer's input 0 spends.
    pub input0: OutPoint,
    /// The responder's prekey that this home's offer was made to: its card may show another one by now.
    pub prekey: Option<Vec<u8>>,
    /// The group that this home's offer brings or names.
    pub group: Option<Chosen>,
    /// What the initiator pays.
    pub price: Amount,
    /// Its state when it was last told.
    pub state: State,
    /// The answer for whose key the peer has shown that it has it.
    pub confirmed: Option<Txid>,
    /// What is kept once its secret is erased.
    pub settled: Option<Settled>,
    /// The spender of the anchor that was found to be no answer when the secret was erased, which tells one from the
    /// other.
    pub no_answer: Option<Txid>,
}

/// The group of an offer whose suite brings one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chosen {
    /// Its numbers.
    pub numbers: Numbers,
    /// The transaction that published them; none if the offer itself brings them.
    pub published: Option<Txid>,
}

impl Chosen {
    /// p's length, p, g, and the transaction if there is one.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (p, g) = (self.numbers.modulus(), self.numbers.generator());
        let [p_len, g_len] = [p, g].map(|number| (number.len() as u16).to_be_bytes());
        let txid = self.published.map_or_else(Vec::new, |txid| txid.to_byte_array().to_vec());
        [&p_len[..], &g_len, p, g, &txid].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (p_len, rest) = bytes.split_first_chunk()?;
        let (g_len, rest) = rest.split_first_chunk()?;
        let (p, rest) = rest.split_at_checked(u16::from_be_bytes(*p_len).into())?;
        let (g, txid) = rest.split_at_checked(u16::from_be_bytes(*g_len).into())?;
        let published = match txid {
            [] => None,
            txid => Some(Txid::from_byte_array(txid.try_into().ok()?)),
        };
        Some(Self { numbers: Numbers::new(p, g).ok()?, published })
    }
}

/// What remains of a negotiation whose secret is erased: public facts beside the stored chain key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The answer's transaction.
    pub answer: Txid,
    /// Its block: where the key's first session is.
    pub first: BlockRef,
    /// The block of the stored chain key.
    pub oldest: BlockRef,
    /// What may be shown of the key.
    pub fingerprint: Fingerprint,
    /// The initiator's confirmation.
    pub initiator_tag: Tag,
}

const SETTLED_LEN: usize = 32 + 36 + 36 + 8 + Tag::LEN;

impl Settled {
    fn to_bytes(self) -> Vec<u8> {
        let block = |block: BlockRef| {
            [&block.height.to_u32().to_be_bytes(), &block.hash.as_byte_array()[..]].concat()
        };
        let (first, oldest) = (block(self.first), block(self.oldest));
        [
            self.answer.as_byte_array(),
            &first[..],
            &oldest,
            self.fingerprint.as_bytes(),
            self.initiator_tag.as_bytes(),
        ]
        .concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SETTLED_LEN] = bytes.try_into().ok()?;
        let (answer, rest) = bytes.split_first_chunk()?;
        let (first, rest) = block_from(rest)?;
        let (oldest, rest) = block_from(rest)?;
        let (fingerprint, tag) = rest.split_first_chunk()?;
        Some(Self {
            answer: Txid::from_byte_array(*answer),
            first,
            oldest,
            fingerprint: Fingerprint::from_bytes(*fingerprint),
            initiator_tag: Tag::from_bytes(tag.try_into().ok()?),
        })
    }
}

fn block_from(bytes: &[u8]) -> Option<(BlockRef, &[u8])> {
    let (height, rest) = bytes.split_first_chunk()?;
    let (hash, rest) = rest.split_first_chunk()?;
    let height = Height::new(u32::from_be_bytes(*height));
    Some((BlockRef::new(height, BlockHash::from_byte_array(*hash)), rest))
}

fn role_number(role: Role) -> i64 {
    match role {
        Role::Initiator => 0,
        Role::Responder => 1,
    }
}

fn form_number(form: AnswerForm) -> i64 {
    match form {
        AnswerForm::Sequences => 0,
        AnswerForm::Amounts => 1,
    }
}

fn state_number(state: State) -> i64 {
    State::ALL.iter().position(|&other| other == state).map_or(0, |position| position as i64)
}

/// A row whose columns SQLite gave, and whose bytes may still be damaged.
type Raw<T> = rusqlite::Result<Option<T>>;

impl Store {
    pub(super) fn rows<T>(
        &self,
        table: &str,
        sql: &str,
        mut read: impl FnMut(&Row<'_>) -> Raw<T>,
    ) -> Result<Vec<T>, NodeError> {
        let rows: Vec<Option<T>> = self.run(|db| {
            let mut statement = db.prepare_cached(sql)?;
            statement.query_map([], |row| read(row))?.collect()
        })?;
        let whole: Option<Vec<T>> = rows.into_iter().collect();
        whole.ok_or_else(|| self.damaged(&format!("a row of the table {table} cannot be read")))
    }

    /// What was sent, one by one: all of it at once, beside what was mined, would be twice as much.
    pub(crate) fn each_sent(&self, mut take: impl FnMut(Sent)) -> Result<(), NodeError> {
        let sql = "SELECT seq, raw, purpose, negotiation, fee_sat FROM sent ORDER BY seq";
        let taken = self.rows("sent", sql, |row| {
            let (seq, raw, purpose): (u64, Vec<u8>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let negotiation: Option<[u8; 32]> = row.get(3)?;
            let purpose = match (purpose, negotiation.map(NegotiationId::from_bytes)) {
                (0, Some(id)) => Some(Purpose::Offer(id)),
                (1, Some(id)) => Some(Purpose::Answer(id)),
                (2, None) => Some(Purpose::Split),
                (3, Some(id)) => Some(Purpose::Refund(id)),
                (4, Some(id)) => Some(Purpose::Commit(id)),
                (5, Some(id)) => Some(Purpose::TakeBack(id)),
                (6, None) => Some(Purpose::Group),
                (7, None) => Some(Purpose::Study),
                (8, Some(id)) => Some(Purpose::Cancel(id)),
                (9, Some(id)) => Some(Purpose::Move(id)),
                (10, Some(id)) => Some(Purpose::Revoke(id)),
                (11, None) => Some(Purpose::Withdrawn),
                _ => None,
            };
            let fee = Amount::from_sat(row.get(4)?);
            let tx = encode::deserialize::<Transaction>(&raw).ok();
            Ok(tx.zip(purpose).map(|(tx, purpose)| {
                let txid = tx.compute_txid();
                take(Sent { seq, tx: Arc::new(tx), txid, purpose, fee });
            }))
        });
        taken.map(drop)
    }

    pub(crate) fn add_sent(
        &self,
        tx: &Transaction,
        purpose: Purpose,
        fee: Amount,
    ) -> Result<Sent, NodeError> {
        let txid = tx.compute_txid();
        let negotiation = purpose.negotiation();
        let row = params![
            txid.as_byte_array(),
            encode::serialize(tx),
            purpose.number(),
            negotiation.as_ref().map(NegotiationId::as_bytes),
            fee.to_sat(),
            Purpose::Withdrawn.number(),
        ];
        // What was withdrawn may be made again, to the byte.
        let seq: i64 = self.run(|db| {
            db.prepare_cached(
                "INSERT INTO sent (txid, raw, purpose, negotiation, fee_sat, digest)
                 VALUES (?1, ?2, ?3, ?4, ?5, row_digest(?1, ?2, ?3, ?4, ?5))
                 ON CONFLICT (txid) DO UPDATE SET raw = excluded.raw, purpose = excluded.purpose,
                     negotiation = excluded.negotiation, fee_sat = excluded.fee_sat, digest = excluded.digest
                 WHERE purpose = ?6
                 RETURNING seq",
            )?
            .query_row(row, |row| row.get(0))
        })?;
        Ok(Sent { seq: seq.unsigned_abs(), tx: Arc::new(tx.clone()), txid, purpose, fee })
    }

    pub(crate) fn remove_sent(&self, txid: &Txid) -> Result<(), NodeError> {
        self.run(|db| execute(db, "DELETE FROM sent WHERE txid = ?1", [txid.as_byte_array()]).map(drop))
    }

    pub(crate) fn withdraw_sent(&self, txid: &Txid) -> Result<(), NodeError> {
        let row = params![txid.as_byte_array(), Purpose::Withdrawn.number()];
        self.run(|db| {
            execute(
                db,
                "UPDATE sent SET purpose = ?2, negotiation = NULL, digest = row_digest(txid, raw, ?2, NULL, fee_sat)
                 WHERE txid = ?1",
                row,
            )
            .map(drop)
        })
    }

    pub(crate) fn peers(&self) -> Result<Vec<Card>, NodeError> {
        self.rows("peers", "SELECT card FROM peers ORDER BY name", |row| {
            Ok(row.get::<_, String>(0)?.parse().ok())
        })
    }

    pub(crate) fn put_peer(&self, card: &Card) -> Result<(), NodeError> {
        let permanent = card.permanent();
        let row = params![permanent.key.to_bytes(), permanent.name.as_str(), card.to_string()];
        self.run(|db| {
            execute(db, "INSERT OR REPLACE INTO peers VALUES (?1, ?2, ?3, row_digest(?1, ?2, ?3))", row)
                .map(drop)
        })
    }

    pub(crate) fn remove_peer(&self, key: PartyKey) -> Result<(), NodeError> {
        self.run(|db| {
            execute(db, "DELETE FROM marks WHERE key = ?1", [key.to_bytes()])?;
            execute(db, "DELETE FROM peers WHERE key = ?1", [key.to_bytes()]).map(drop)
        })
    }

    pub(crate) fn marks(&self) -> Result<Vec<(PartyKey, Mark)>, NodeError> {
        self.rows("marks", "SELECT key, introduced, revoked FROM marks", |row| {
            let key: [u8; 33] = row.get(0)?;
            let mark = Mark { introduced: row.get(1)?, revoked: row.get(2)? };
            Ok(PartyKey::from_slice(&key).ok().map(|key| (key, mark)))
        })
    }

    pub(crate) fn put_mark(&self, key: PartyKey, mark: Mark) -> Result<(), NodeError> {
        let row = params![key.to_bytes(), mark.introduced, mark.revoked];
        self.run(|db| {
            execute(db, "INSERT OR REPLACE INTO marks VALUES (?1, ?2, ?3, row_digest(?1, ?2, ?3))", row)
                .map(drop)
        })
    }

    pub(crate) fn introductions(&self) -> Result<Vec<Introduction>, NodeError> {
        self.rows("introductions", "SELECT text FROM introductions", |row| {
            Ok(row.get::<_, String>(0)?.parse().ok())
        })
    }

    /// Keeps it in the place of what its introducer said of the same party before.
    pub(crate) fn put_introduction(&self, word: &Introduction) -> Result<(), NodeError> {
        let row = params![word.introducer().to_bytes(), word.subject(), word.to_string()];
        self.run(|db| {
            execute(
                db,
                "INSERT OR REPLACE INTO introductions VALUES (?1, ?2, ?3, row_digest(?1, ?2, ?3))",
                row,
            )
            .map(drop)
        })
    }

    pub(crate) fn negotiations(&self) -> Result<Vec<Record>, NodeError> {
        let sql =
            "SELECT id, role, peer, secret_index, suite, carrier, form, input0, price_sat, state, confirmed,
                   settled, prekey FROM negotiations";
        self.rows("negotiations", sql, read_record)
    }

    pub(crate) fn put_negotiation(&self, record: &Record) -> Result<(), NodeError> {
        let row = params![
            record.id.as_bytes(),
            role_number(record.role),
            record.peer.to_bytes(),
            record.secret_index,
            record.suite.number(),
            record.carrier.number(),
            form_number(record.form),
            encode::serialize(&record.input0),
            record.price.to_sat(),
            state_number(record.state),
            record.confirmed.as_ref().map(|txid| txid.as_byte_array()),
            kept_of(record),
            made_with(record),
        ];
        self.run(|db| {
            execute(
                db,
                "INSERT OR REPLACE INTO negotiations
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
                         row_digest(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13))",
                row,
            )
            .map(drop)
        })
    }

    pub(crate) fn remove_negotiation(&self, id: &NegotiationId) -> Result<(), NodeError> {
        self.run(|db| execute(db, "DELETE FROM negotiations WHERE id = ?1", [id.as_bytes()]).map(drop))
    }

    /// Notes that a message was opened; `false` if it was before.
    pub(crate) fn note_opened(
        &self,
        id: &NegotiationId,
        stream: StreamId,
        counter: u64,
        height: Height,
    ) -> Result<bool, NodeError> {
        // SQLite's integers are signed; the counter's bits are kept as they are.
        let row = params![id.as_bytes(), stream.as_bytes(), counter as i64, height.to_u32()];
        let seen: Option<i64> = self.run(|db| {
            one(
                db,
                "SELECT 1 FROM opened WHERE negotiation = ?1 AND stream = ?2 AND counter = ?3",
                params![id.as_bytes(), stream.as_bytes(), counter as i64],
            )
        })?;
        if planted::is(Bug::OpenedNotNoted) {
            return Ok(true);
        }
        self.run(|db| {
            execute(
                db,
                "INSERT OR IGNORE INTO opened VALUES (?1, ?2, ?3, ?4, row_digest(?1, ?2, ?3, ?4))",
                row,
            )
        })?;
        Ok(seen.is_none())
    }

    /// Whether messages of blocks below `height` are noted as opened.
    pub(crate) fn has_opened_below(&self, height: Height) -> Result<bool, NodeError> {
        let sql = "SELECT 1 FROM opened WHERE height < ?1 LIMIT 1";
        let found: Option<i64> = self.run(|db| one(db, sql, [height.to_u32()]))?;
        Ok(found.is_some())
    }

    /// Forgets opened messages of blocks below `height`: the window refuses them by itself.
    pub(crate) fn forget_opened_below(&self, height: Height) -> Result<(), NodeError> {
        self.run(|db| execute(db, "DELETE FROM opened WHERE height < ?1", [height.to_u32()]).map(drop))
    }
}

/// What is kept in the place of an erased secret: of a key, or of an anchor that no answer spent.
fn kept_of(record: &Record) -> Option<Vec<u8>> {
    let no_answer = || record.no_answer.map(|txid| txid.to_byte_array().to_vec());
    record.settled.map(Settled::to_bytes).or_else(no_answer)
}

/// What an offer was made with beside this home's secret: the responder's prekey, or a group. No offer has both.
fn made_with(record: &Record) -> Option<Vec<u8>> {
    record.prekey.clone().or_else(|| record.group.as_ref().map(Chosen::to_bytes))
}

fn read_record(row: &Row<'_>) -> Raw<Record> {
    let peer: [u8; 33] = row.get(2)?;
    let (suite, carrier): (u8, u8) = (row.get(4)?, row.get(5)?);
    let input0: Vec<u8> = row.get(7)?;
    let state: usize = row.get(9)?;
    let kept: Option<Vec<u8>> = row.get(11)?;
    let (role, form): (i64, i64) = (row.get(1)?, row.get(6)?);
    let (id, secret_index, price) = (row.get(0)?, row.get(3)?, row.get(8)?);
    let confirmed: Option<[u8; 32]> = row.get(10)?;
    let made_with: Option<Vec<u8>> = row.get(12)?;
    let read = move || {
        let (settled, no_answer) = match kept.as_deref() {
            None => (None, None),
            Some(kept) => match <[u8; 32]>::try_from(kept) {
                Ok(txid) => (None, Some(Txid::from_byte_array(txid))),
                Err(_) => (Some(Settled::from_bytes(kept)?), None),
            },
        };
        let suite = Suite::from_number(suite)?;
        let (prekey, group) = match made_with {
            Some(bytes) if suite.brings_group() => (None, Some(Chosen::from_bytes(&bytes)?)),
            prekey => (prekey, None),
        };
        Some(Record {
            id: NegotiationId::from_bytes(id),
            role: [Role::Initiator, Role::Responder].into_iter().find(|&r| role_number(r) == role)?,
            peer: PartyKey::from_slice(&peer).ok()?,
            secret_index,
            suite,
            carrier: Carrier::from_number(carrier)?,
            form: [AnswerForm::Sequences, AnswerForm::Amounts]
                .into_iter()
                .find(|&f| form_number(f) == form)?,
            input0: encode::deserialize(&input0).ok()?,
            prekey,
            group,
            price: Amount::from_sat(price),
            state: *State::ALL.get(state)?,
            confirmed: confirmed.map(Txid::from_byte_array),
            settled,
            no_answer,
        })
    };
    Ok(read())
}
