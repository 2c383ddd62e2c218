//! The folder: who holds it, what lies in it, and what the file system says.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::OpenError;
use crate::LedgerError;

/// The log in a ledger's folder.
pub(super) const LOG: &str = "ledger.log";
/// A log that is being created.
pub(super) const NEW_LOG: &str = "ledger.new";
/// The engine's folder in it, which lasts as long as the engine.
pub(super) const ENGINE: &str = "engine";
const LOCK: &str = "LOCK";

/// Folders that this process has open. A file lock alone does not tell two handles of one process
/// apart on every system, and a failed second opening inside the validation engine would give up
/// the first one's lock.
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The right to use a folder, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    folder: PathBuf,
    lock: Option<File>,
}

impl Held {
    /// Takes a folder for this process alone, and creates it if there is none.
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        std::fs::create_dir_all(folder).map_err(|e| error("create", folder, e))?;
        let folder = folder.canonicalize().map_err(|e| error("open", folder, e))?;
        refuse_foreign(&folder)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if open.contains(&folder) {
            return Err(OpenError::AlreadyOpen { folder });
        }
        let lock = lock(&folder)?;
        open.insert(folder.clone());
        Ok(Self { folder, lock: Some(lock) })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.lock.take());
        open.remove(&self.folder);
    }
}

/// A folder with other things in it is somebody else's: write nothing there.
fn refuse_foreign(folder: &Path) -> Result<(), OpenError> {
    let log = folder.join(LOG);
    if log.try_exists().map_err(|e| error("read", &log, e))? {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(|e| error("read", folder, e))? {
        match entry.map_err(|e| error("read", folder, e))?.file_name().to_string_lossy().as_ref() {
            LOCK | NEW_LOG => {}
            ENGINE => {
                let what = "it is gone, and the rest of the ledger is there".to_owned();
                return Err(LedgerError::Corrupt { path: log, what }.into());
            }
            found => {
                return Err(OpenError::NotALedger { folder: folder.to_owned(), found: found.to_owned() });
            }
        }
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join(LOCK);
    let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open().map_err(|e| error("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => {
            // For the message to others only; a full disk is no reason not to open.
            let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.rewind().and_then(|()| file.read_to_string(&mut holder));
            Err(OpenError::Locked { folder: folder.to_owned(), holder: holder.trim().parse().ok() })
        }
        Err(TryLockError::Error(e)) => Err(error("lock", &path, e).into()),
    }
}

/// Makes a file's new name survive a crash of the machine.
pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        #[cfg(unix)]
        Some(folder) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Whether a megabyte can be written in a folder, as far as that can be known.
pub(super) fn has_room(folder: &Path) -> bool {
    let probe = folder.join("probe");
    let written = std::fs::write(&probe, vec![0; 1 << 20]);
    let _ = std::fs::remove_file(&probe);
    !written.is_err_and(|e| is_full(&e))
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// An error of the file system, with a full disk told apart.
pub(super) fn error(action: &'static str, path: &Path, source: io::Error) -> LedgerError {
    let path = path.to_owned();
    if is_full(&source) { LedgerError::DiskFull { path } } else { LedgerError::Io { action, path, source } }
}
