//! A digest beside each row: a damaged file is told when the store is opened, not believed.
//!
//! SQLite notices damage to its own structure, but not a changed bit in a value. Each table therefore ends
//! with a digest of its row, compared by the table's CHECK, and `PRAGMA integrity_check` goes over all of
//! them. It is no defence against somebody who wants to change the file: whoever can write there can write
//! digests too, and secrets have their own authentication ([`super::vault`]).

use bitcoin::hashes::{Hash, HashEngine, sha256};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

/// Enough that no accident goes unnoticed.
const LEN: usize = 8;

/// Gives the connection the function `row_digest(…)` that the schema names.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_digest", -1, flags, |row| Ok(digest(row)))
}

fn digest(row: &Context<'_>) -> Vec<u8> {
    let mut engine = sha256::Hash::engine();
    for column in 0..row.len() {
        let (kind, bytes): (u8, &[u8]) = match row.get_raw(column) {
            ValueRef::Null => (0, &[]),
            ValueRef::Integer(number) => (1, &number.to_be_bytes()),
            ValueRef::Real(number) => (2, &number.to_be_bytes()),
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(blob) => (4, blob),
        };
        engine.input(&[kind]);
        engine.input(&(bytes.len() as u64).to_be_bytes());
        engine.input(bytes);
    }
    let digest = sha256::Hash::from_engine(engine).to_byte_array();
    digest.into_iter().take(LEN).collect()
}
