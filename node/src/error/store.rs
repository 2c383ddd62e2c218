//! What can be wrong with a home's store.

use std::path::PathBuf;

use thiserror::Error;

/// The store does not open, cannot be read, or cannot be written. What was stored before is safe in each case but the
/// damaged one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The passphrase or key file is not the one the store was made with.
    #[error(
        "wrong {0}\nit does not open this home's store\ntry again; without it only the mnemonic can restore the identity"
    )]
    WrongUnlock(&'static str),
    /// The store wants another way to be opened.
    #[error(
        "this home's store opens with {wanted}, not with {given}\nit was chosen at `keyway init`\n{}",
        unlock_advice(wanted)
    )]
    OtherUnlock {
        /// What was given.
        given: &'static str,
        /// What the store was made with.
        wanted: &'static str,
    },
    /// The store is damaged.
    #[error("the store {} is damaged: {what}\nnothing was changed\nput back a copy of the file, or restore from the mnemonic into a new home", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The store was written by a newer program.
    #[error("the store {} has format {found}, this program knows format {known}\na newer program wrote it\nupdate this one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format of this program.
        known: i64,
    },
    /// The store was written by an older program, which kept less.
    #[error("the store {} has format {found}, this program knows format {known}\nan older program wrote it, without prekeys\nrestore from the mnemonic into a new home", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format of this program.
        known: i64,
    },
    /// No space is left for the store, or for another file of the home.
    #[error("no space left to write {}\nnothing was lost, and nothing was sent\nfree some space and try again", .0.display())]
    DiskFull(PathBuf),
    /// The store cannot be written.
    #[error("the store {} can only be read\nits file or its file system cannot be written, or its head was damaged\nnothing was changed; make it writable, or put back a copy of the file", .0.display())]
    ReadOnly(PathBuf),
    /// Another failure of the store.
    #[error("the store {} failed\n{source}\ncheck the disk and try again; what was stored before is safe", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A step of the store failed, and it could not be read again since.
    #[error("what the store {} holds is not certain\nwriting to it failed, and so did reading it since\ncheck the disk and try again; what was stored before is safe", .0.display())]
    Doubtful(PathBuf),
}

fn unlock_advice(wanted: &str) -> &'static str {
    match wanted {
        "a passphrase" => "give it with --passphrase-file FILE, or leave out --key-file and be asked",
        "a key file" => "pass it with --key-file FILE",
        _ => "leave out --passphrase-file and --key-file",
    }
}
