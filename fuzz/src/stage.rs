//! A home whose store lies in memory, and is put back to how it was for every life that is lived in it.

use std::path::Path;
use std::sync::Mutex;

use bitcoin::Transaction;
use bitcoin::consensus::encode::deserialize;
use keyway_chain::{BlockRef, Chain, Height};
use keyway_node::{Outside, Party, STORE_FILE, Unlock};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tempfile::TempDir;

use crate::hearsay::{Hearsay, made_by};
use crate::store_file::{SOUND, empty_home};

/// SQLite's file system in memory. All who open one name there have the same file, as long as anybody has it open.
const MEMORY: &str = "memdb";
/// The block that holds the first offer of the home of [`SOUND`]. Those below it, a hundred to let a reward mature, would be read twice
/// in every life.
const FIRST_OFFER: u32 = 105;

/// See the module's documentation.
pub struct Stage {
    home: TempDir,
    store: Connection,
    tables: Vec<String>,
}

impl Stage {
    /// The home of [`SOUND`].
    pub fn set() -> Self {
        let home = empty_home();
        // On the disk it stays as it is: there a party only looks whether it is there.
        let path = home.path().join(STORE_FILE);
        std::fs::write(&path, SOUND).expect("there is space");
        let file = Connection::open(&path).expect("a store");
        let in_memory = Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), MEMORY);
        let mut store = in_memory.expect("SQLite has it");
        copy(&file, &mut store);
        // The digests of rows that are put back were right when they were kept.
        store
            .execute_batch("PRAGMA ignore_check_constraints = ON; ATTACH ':memory:' AS kept")
            .expect("a store");
        let tables = tables(&store).expect("a store");
        // For each table two statements, compiled once.
        store.set_prepared_statement_cache_capacity(2 * tables.len());
        let mut stage = Self { home, store, tables };
        stage.forget_below(FIRST_OFFER);
        stage.keep();
        stage
    }

    /// The home's party.
    pub fn open(&self) -> Party {
        let home: &Path = self.home.path();
        Party::open_from(home, &Unlock::Insecure, &outside()).expect("a home that no other program touched")
    }

    /// What a party hears of the chain that it has followed, and of nothing beyond it.
    pub fn ledger(&self, party: &Party) -> Hearsay {
        let ledger = Hearsay::above(Chain::regtest(), followed(party));
        self.mined().iter().for_each(|tx| ledger.know(made_by(tx)));
        ledger
    }

    /// From now on the store is put back to how it is now.
    pub fn keep(&mut self) {
        for table in &self.tables {
            let rows = format!(
                "DROP TABLE IF EXISTS kept.kept_{table}; CREATE TABLE kept.kept_{table} AS SELECT * FROM main.{table}"
            );
            self.store.execute_batch(&rows).expect("a store");
        }
    }

    /// Takes away what lies below a block, as if the home had been made there.
    fn forget_below(&self, height: u32) {
        let rows =
            format!("DELETE FROM blocks WHERE height < {height}; DELETE FROM mined WHERE height < {height};");
        self.store.execute_batch(&rows).expect("a store");
    }

    /// The transactions that the home knows from blocks.
    fn mined(&self) -> Vec<Transaction> {
        let mut rows = self.store.prepare("SELECT raw FROM main.mined").expect("a store");
        let raw = rows.query_map([], |row| row.get(0)).expect("a store");
        let tx = |raw: rusqlite::Result<Vec<u8>>| deserialize(&raw.expect("a store")).expect("a transaction");
        raw.map(tx).collect()
    }

    /// Puts the rows of all tables back. Who has the store open need not open it again: to them it is as if another program had
    /// written.
    pub fn put_back(&mut self) {
        let Self { store, tables, .. } = self;
        let step = store.transaction_with_behavior(TransactionBehavior::Immediate).expect("nobody writes");
        for table in tables {
            for change in [
                format!("DELETE FROM main.{table}"),
                format!("INSERT INTO main.{table} SELECT * FROM kept.kept_{table}"),
            ] {
                step.prepare_cached(&change).and_then(|mut change| change.execute([])).expect("a store");
            }
        }
        step.commit().expect("nobody reads");
    }
}

/// The same party, as a program that starts again would have it, from the store that is open: to open it, and to compile its
/// statements, is as much work as half a life.
pub fn begin_again(party: Party) -> Party {
    party.begin_again(&outside()).expect("a sound store")
}

fn outside() -> Outside {
    static COUNTER: Mutex<u64> = Mutex::new(0);
    // Never twice the same in a process, and nothing depends on it but the names of streams.
    let random = |bytes: &mut [u8]| {
        let mut counter = COUNTER.lock().expect("no panic holds it");
        *counter += 1;
        bytes.iter_mut().zip(counter.to_be_bytes().iter().cycle()).for_each(|(byte, drawn)| *byte = *drawn);
    };
    Outside::simulated(random, MEMORY)
}

/// The places of the blocks that a party has followed.
fn followed(party: &Party) -> impl Iterator<Item = BlockRef> + '_ {
    let blocks = std::iter::successors(Some(party.tip().height), |height: &Height| height.prev());
    blocks.map_while(|height| party.block(height).map(|block| block.at))
}

/// The names of all tables. SQLite's own is one of them, which has the last numbers that it gave.
fn tables(store: &Connection) -> rusqlite::Result<Vec<String>> {
    store
        .prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'")?
        .query_map([], |row| row.get(0))?
        .collect()
}

fn copy(from: &Connection, to: &mut Connection) {
    let copy = Backup::new(from, to).expect("two databases");
    assert_eq!(copy.step(-1).expect("nobody else has them open"), StepResult::Done);
}
