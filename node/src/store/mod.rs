//! The store: one SQLite file that outlives crashes.
//!
//! Whatever a transaction needs is written, and on disk, before the transaction is broadcast. Secrets
//! are encrypted ([`vault`]); what is erased is overwritten (`secure_delete`). Public facts are in the
//! clear. All changes of one step are one SQLite transaction. What was damaged since is found when the store is
//! opened ([`digest`]).

mod chain;
mod digest;
mod envelopes;
mod groups;
mod prepared;
mod restored;
mod rows;
mod vault;

use std::path::{Path, PathBuf};

use keyway_protocol::secret::Secret;
use rusqlite::types::FromSql;
use rusqlite::{Connection, DatabaseName, ErrorCode, OpenFlags, OptionalExtension, Params, params};
use zeroize::Zeroizing;

pub(crate) use envelopes::Envelope;
pub(crate) use restored::Restoring;
pub use rows::{Chosen, Purpose, Record, Sent, Settled};
pub use vault::Unlock;
use vault::{Lock, Vault};

use crate::error::{NodeError, StoreError};
use crate::outside::Outside;

const FORMAT: i64 = 3;
/// The oldest format that is brought up to date when a store is opened.
const OLDEST: i64 = 2;
const APPLICATION_ID: i64 = 0x6b77_6179; // "kway"

/// More than the store has: each is compiled once.
const STATEMENTS: usize = 64;

const SCHEMA: &str = "
    CREATE TABLE meta (
        key TEXT PRIMARY KEY, value BLOB NOT NULL,
        digest BLOB NOT NULL CHECK (digest = row_digest(key, value))
    ) STRICT;
    CREATE TABLE secrets (
        name TEXT PRIMARY KEY, sealed BLOB NOT NULL,
        digest BLOB NOT NULL CHECK (digest = row_digest(name, sealed))
    ) STRICT;
    CREATE TABLE blocks (
        height INTEGER PRIMARY KEY, hash BLOB NOT NULL, time INTEGER NOT NULL,
        digest BLOB NOT NULL CHECK (digest = row_digest(height, hash, time))
    ) STRICT;
    CREATE TABLE mined (
        txid BLOB PRIMARY KEY, height INTEGER NOT NULL, position INTEGER NOT NULL, raw BLOB NOT NULL,
        input0_sat INTEGER, input0_script BLOB,
        digest BLOB NOT NULL
            CHECK (digest = row_digest(txid, height, position, raw, input0_sat, input0_script))
    ) STRICT;
    CREATE INDEX mined_by_height ON mined (height);
    CREATE TABLE sent (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, txid BLOB UNIQUE NOT NULL, raw BLOB NOT NULL,
        purpose INTEGER NOT NULL, negotiation BLOB, fee_sat INTEGER NOT NULL,
        digest BLOB NOT NULL CHECK (digest = row_digest(txid, raw, purpose, negotiation, fee_sat))
    ) STRICT;
    CREATE TABLE peers (
        key BLOB PRIMARY KEY, name TEXT UNIQUE NOT NULL, card TEXT NOT NULL,
        digest BLOB NOT NULL CHECK (digest = row_digest(key, name, card))
    ) STRICT;
    CREATE TABLE negotiations (
        id BLOB PRIMARY KEY, role INTEGER NOT NULL, peer BLOB NOT NULL, secret_index INTEGER,
        suite INTEGER NOT NULL, carrier INTEGER NOT NULL, form INTEGER NOT NULL, input0 BLOB NOT NULL,
        price_sat INTEGER NOT NULL, state INTEGER NOT NULL, confirmed BLOB, settled BLOB, prekey BLOB,
        digest BLOB NOT NULL CHECK (digest = row_digest(
            id, role, peer, secret_index, suite, carrier, form, input0, price_sat, state, confirmed, settled, prekey
        ))
    ) STRICT;
    CREATE TABLE opened (
        negotiation BLOB NOT NULL, stream BLOB NOT NULL, counter INTEGER NOT NULL, height INTEGER NOT NULL,
        digest BLOB NOT NULL CHECK (digest = row_digest(negotiation, stream, counter, height)),
        PRIMARY KEY (negotiation, stream, counter)
    ) STRICT, WITHOUT ROWID;
";

/// What format 3 has that format 2 had not.
const SINCE_3: &str = "
    CREATE TABLE marks (
        key BLOB PRIMARY KEY, introduced INTEGER NOT NULL, revoked INTEGER NOT NULL,
        digest BLOB NOT NULL CHECK (digest = row_digest(key, introduced, revoked))
    ) STRICT;
    CREATE TABLE introductions (
        introducer BLOB NOT NULL, subject BLOB NOT NULL, text TEXT NOT NULL,
        digest BLOB NOT NULL CHECK (digest = row_digest(introducer, subject, text)),
        PRIMARY KEY (introducer, subject)
    ) STRICT;
";

/// The open store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    vault: Vault,
    /// A step failed since memory was last read from here.
    doubtful: bool,
}

impl Store {
    /// Makes a new store.
    ///
    /// # Errors
    /// If the file exists, or the disk refuses.
    pub fn create(path: &Path, unlock: &Unlock, outside: &Outside) -> Result<Self, NodeError> {
        let (lock, vault) = Lock::create(unlock, outside)?;
        let connection =
            outside.connect(path, OpenFlags::default()).map_err(|source| failure(path, source))?;
        digest::register(&connection).map_err(|source| failure(path, source))?;
        let store = Self { path: path.to_owned(), connection, vault, doubtful: false };
        store.configure()?;
        store.run(|db| {
            db.execute_batch(&format!(
                "BEGIN; {SCHEMA} {SINCE_3} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
            ))?;
            execute(db, "INSERT INTO meta VALUES ('lock', ?1, row_digest('lock', ?1))", [lock.to_bytes()])
        })?;
        Ok(store)
    }

    /// Opens a store and checks that it is whole.
    ///
    /// # Errors
    /// Wrong passphrase or key file, damage, another program's file.
    pub fn open(path: &Path, unlock: &Unlock, outside: &Outside) -> Result<Self, NodeError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = outside.connect(path, flags).map_err(|source| failure(path, source))?;
        digest::register(&connection).map_err(|source| failure(path, source))?;
        check_format(path, &connection)?;
        let lock: Option<Vec<u8>> = connection
            .query_row("SELECT value FROM meta WHERE key = 'lock'", [], |row| row.get(0))
            .optional()
            .map_err(|source| failure(path, source))?;
        let lock = lock.as_deref().and_then(Lock::from_bytes);
        let lock = lock.ok_or_else(|| damaged(path, "its lock row is missing or cannot be read"))?;
        let vault = lock.open(unlock, outside)?;
        let store = Self { path: path.to_owned(), connection, vault, doubtful: false };
        store.configure()?;
        store.bring_up_to_date()?;
        Ok(store)
    }

    /// Adds what an older format had not.
    fn bring_up_to_date(&self) -> Result<(), NodeError> {
        let found: i64 = self.run(|db| db.query_row("PRAGMA user_version", [], |row| row.get(0)))?;
        if found == FORMAT {
            return Ok(());
        }
        self.run(|db| db.execute_batch(&format!("BEGIN; {SINCE_3} PRAGMA user_version = {FORMAT}; COMMIT;")))
    }

    fn configure(&self) -> Result<(), NodeError> {
        // EXTRA: after a power cut a committed transaction is there, and a deleted journal stays deleted.
        self.run(|db| {
            db.set_prepared_statement_cache_capacity(STATEMENTS);
            db.execute_batch(
                "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA secure_delete = ON;
                 PRAGMA trusted_schema = OFF; PRAGMA busy_timeout = 5000;",
            )
        })
    }

    /// Makes all changes of `step` at once, or none of them.
    ///
    /// # Errors
    /// Those of `step` and of the disk.
    pub fn step<T>(&mut self, step: impl FnOnce(&Store) -> Result<T, NodeError>) -> Result<T, NodeError> {
        self.run(|db| execute(db, "BEGIN IMMEDIATE", [])).inspect_err(|_| self.doubtful = true)?;
        match step(self).and_then(|done| self.run(|db| execute(db, "COMMIT", [])).map(|_| done)) {
            Ok(done) => Ok(done),
            Err(error) => {
                // If this fails too, SQLite has already rolled back, or will when the file is opened again.
                let undone = self.connection.execute_batch("ROLLBACK");
                let refused =
                    !matches!(error, NodeError::Store(StoreError::Failed { .. } | StoreError::DiskFull(_)));
                self.doubtful |= !refused || undone.is_err();
                Err(error)
            }
        }
    }

    /// Whether a step failed: whether its changes were made is known only after reading again.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Says that memory was read again.
    pub(crate) fn trust(&mut self) {
        self.doubtful = false;
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A public value by name.
    pub(crate) fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, NodeError> {
        self.run(|db| one(db, "SELECT value FROM meta WHERE key = ?1", [key]))
    }

    pub(crate) fn set_meta(&self, key: &str, value: &[u8]) -> Result<(), NodeError> {
        self.run(|db| {
            execute(
                db,
                "INSERT OR REPLACE INTO meta VALUES (?1, ?2, row_digest(?1, ?2))",
                params![key, value],
            )
            .map(drop)
        })
    }

    /// All public values whose names begin so, by name.
    fn meta_with(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, NodeError> {
        // Not `LIKE`: it looks at every row, and is compiled again for every prefix.
        let sql = "SELECT key, value FROM meta WHERE key >= ?1 AND key < ?2 ORDER BY key";
        self.run(|db| {
            let mut statement = db.prepare_cached(sql)?;
            statement.query_map([prefix, &past(prefix)], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    pub(crate) fn remove_meta(&self, key: &str) -> Result<(), NodeError> {
        self.run(|db| execute(db, "DELETE FROM meta WHERE key = ?1", [key]).map(drop))
    }

    /// A secret by name; `None` if it was never stored or is erased.
    pub(crate) fn secret(&self, name: &str) -> Result<Option<Secret>, NodeError> {
        let sealed: Option<Vec<u8>> =
            self.run(|db| one(db, "SELECT sealed FROM secrets WHERE name = ?1", [name]))?;
        let Some(sealed) = sealed else { return Ok(None) };
        let opened: Option<Zeroizing<Vec<u8>>> = self.vault.open(name, &sealed);
        let secret = opened.and_then(|bytes| Secret::from_slice(&bytes));
        secret.map(Some).ok_or_else(|| damaged(&self.path, &format!("secret `{name}` does not decrypt")))
    }

    pub(crate) fn set_secret(&self, name: &str, secret: &Secret) -> Result<(), NodeError> {
        let sealed = self.vault.seal(name, secret.expose())?;
        self.run(|db| {
            execute(
                db,
                "INSERT OR REPLACE INTO secrets VALUES (?1, ?2, row_digest(?1, ?2))",
                params![name, sealed],
            )
            .map(drop)
        })
    }

    pub(crate) fn erase_secret(&self, name: &str) -> Result<(), NodeError> {
        self.run(|db| execute(db, "DELETE FROM secrets WHERE name = ?1", [name]).map(drop))
    }

    /// Runs a statement and says what its failure means to a person.
    fn run<T>(&self, statement: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, NodeError> {
        statement(&self.connection).map_err(|source| failure(&self.path, source))
    }

    fn damaged(&self, what: &str) -> NodeError {
        damaged(&self.path, what)
    }
}

/// The first name after all that begin so.
fn past(prefix: &str) -> String {
    let mut past: Vec<char> = prefix.chars().collect();
    let last = past.pop().map(|last| char::from_u32(u32::from(last) + 1).unwrap_or(char::MAX));
    past.into_iter().chain(last).collect()
}

/// Runs a statement, compiled once for the connection; how many rows it changed.
fn execute(db: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(params)
}

/// The first column of the one row that there may be.
fn one<T: FromSql>(db: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Option<T>> {
    db.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()
}

fn check_format(path: &Path, connection: &Connection) -> Result<(), NodeError> {
    let pragma = |name: &str| {
        connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            .map_err(|source| failure(path, source))
    };
    if pragma("application_id")? != APPLICATION_ID {
        return Err(damaged(path, "it is not a Keyway store"));
    }
    let found = pragma("user_version")?;
    if found < OLDEST {
        return Err(StoreError::Older { path: path.to_owned(), found, known: FORMAT }.into());
    }
    if found > FORMAT {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT }.into());
    }
    // SQLite drops the CHECKs of what it can only read, and would find damaged rows sound.
    if connection.is_readonly(DatabaseName::Main).map_err(|source| failure(path, source))? {
        return Err(StoreError::ReadOnly(path.to_owned()).into());
    }
    let check = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    match check.map_err(|source| failure(path, source))?.as_str() {
        "ok" => Ok(()),
        what => Err(damaged(path, what)),
    }
}

fn damaged(path: &Path, what: &str) -> NodeError {
    NodeError::Store(StoreError::Damaged { path: path.to_owned(), what: what.to_owned() })
}

fn failure(path: &Path, source: rusqlite::Error) -> NodeError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => NodeError::Store(StoreError::DiskFull(path.to_owned())),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path, &source.to_string()),
        // The statements are always the same: if one is wrong, the schema is not ours any more; and an error
        // that is not SQLite's own is about a value of another kind than was written.
        Some(ErrorCode::Unknown) | None => damaged(path, &source.to_string()),
        _ => NodeError::Store(StoreError::Failed { path: path.to_owned(), source }),
    }
}
