//! A party's folder: configuration, store and lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{NodeError, StoreError};

/// The store's file in a home.
pub const STORE_FILE: &str = "store.sqlite";
/// The configuration's file in a home.
pub const CONFIG_FILE: &str = "keyway.toml";
const LOCK_FILE: &str = "lock";

/// A home that this process alone works with, until it is dropped.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes the folder, for its owner alone, and locks it.
    ///
    /// # Errors
    /// [`NodeError::HomeExists`] if there is a store in it.
    pub fn create(dir: &Path) -> Result<Self, NodeError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|s| io("create", dir, s))?;
        let home = Self::lock(dir)?;
        if home.store_path().exists() { Err(NodeError::HomeExists(dir.to_owned())) } else { Ok(home) }
    }

    /// Locks an existing home.
    ///
    /// # Errors
    /// [`NodeError::NoHome`], [`NodeError::HomeLocked`].
    pub fn open(dir: &Path) -> Result<Self, NodeError> {
        if dir.join(STORE_FILE).exists() { Self::lock(dir) } else { Err(NodeError::NoHome(dir.to_owned())) }
    }

    /// Has `fill` write a file beside `path`, for the owner alone, and moves it there when it is complete.
    pub(crate) fn put(
        &self,
        path: &Path,
        fill: impl FnOnce(&Path) -> Result<(), NodeError>,
    ) -> Result<(), NodeError> {
        let unfinished = path.with_extension("unfinished");
        match std::fs::remove_file(&unfinished) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(io("remove", &unfinished, source));
            }
            _ => {}
        }
        let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&unfinished);
        made.map_err(|source| io("create", &unfinished, source))?;
        let done = fill(&unfinished).and_then(|()| {
            File::open(&unfinished)
                .and_then(|file| file.sync_all())
                .and_then(|()| std::fs::rename(&unfinished, path))
                .and_then(|()| File::open(&self.dir)?.sync_all())
                .map_err(|source| io("write", path, source))
        });
        if done.is_err() {
            // What is left of it is removed by the next try at the latest.
            let _ = std::fs::remove_file(&unfinished);
        }
        done
    }

    fn lock(dir: &Path) -> Result<Self, NodeError> {
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|source| io("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => Err(NodeError::HomeLocked(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(io("lock", &path, source)),
        }
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the store is.
    pub fn store_path(&self) -> PathBuf {
        self.dir.join(STORE_FILE)
    }

    /// Where the configuration is.
    pub fn config_path(&self) -> PathBuf {
        self.dir.join(CONFIG_FILE)
    }
}

pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> NodeError {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            NodeError::Store(StoreError::DiskFull(path.to_owned()))
        }
        _ => NodeError::Io { action, path: path.to_owned(), source },
    }
}
