//! A home whose store lies in memory, and is put back to how it was for every life that is lived in it.

use std::path::Path;

use keyway_node::STORE_FILE;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::store_file::empty_home;

/// SQLite's file system in memory. All who open one name there have the same file, as long as anybody has it open.
pub const MEMORY: &str = "memdb";

/// See the module's documentation.
pub struct Stage {
    home: TempDir,
    store: Connection,
    kept: Connection,
}

impl Stage {
    /// The home with this store.
    pub fn with(store: &[u8]) -> Self {
        let home = empty_home();
        // On the disk it stays as it is: there a party only looks whether it is there.
        let path = home.path().join(STORE_FILE);
        std::fs::write(&path, store).expect("there is space");
        let file = Connection::open(&path).expect("a store");
        let in_memory = Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), MEMORY);
        let mut store = in_memory.expect("SQLite has it");
        copy(&file, &mut store);
        let mut stage = Self { home, store, kept: Connection::open_in_memory().expect("there is memory") };
        stage.keep();
        stage
    }

    /// The home's folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// From now on the store is put back to how it is now.
    pub fn keep(&mut self) {
        copy(&self.store, &mut self.kept);
    }

    /// Takes away what lies below a block, as if the home had been made there.
    pub fn forget_below(&self, height: u32) {
        let rows =
            format!("DELETE FROM blocks WHERE height < {height}; DELETE FROM mined WHERE height < {height};");
        self.store.execute_batch(&rows).expect("a store");
    }

    /// Puts the store back. Nobody may have it open.
    pub fn put_back(&mut self) {
        copy(&self.kept, &mut self.store);
    }
}

fn copy(from: &Connection, to: &mut Connection) {
    let copy = Backup::new(from, to).expect("two databases");
    assert_eq!(copy.step(-1).expect("nobody else has them open"), StepResult::Done);
}
