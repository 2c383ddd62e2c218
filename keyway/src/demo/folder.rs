//! The demo's folder: two homes and a ledger, kept afterwards.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

const MARKER: &str = ".keyway-demo";
const MARKER_TEXT: &str =
    "Made by `keyway demo`, which replaces what is in this folder if it is told --fresh.\n";
const CAR: &str = "car";
const CHARGER: &str = "charger";
const EAVESDROPPER: &str = "eavesdropper";
const LEDGER: &str = "ledger";

/// Why the demo cannot run there.
#[derive(Debug, Error)]
pub enum FolderError {
    /// An earlier demo.
    #[error("{} holds an earlier demo\nit is kept, so that you can go on with it by hand\nuse --fresh to replace it, or --home DIR for another place", .0.display())]
    Earlier(PathBuf),
    /// Something else.
    #[error("{} is not a folder of the demo\nit is not empty, and nothing in it was touched\nuse --home DIR with a folder that does not exist", .0.display())]
    Foreign(PathBuf),
    /// The file system.
    #[error("cannot {action} {}\n{source}\nuse --home DIR for another place", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The demo's folder.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Makes it, or makes it anew.
    ///
    /// # Errors
    /// [`FolderError`]; what is there is not touched then.
    pub fn prepare(dir: PathBuf, fresh: bool) -> Result<Self, FolderError> {
        let folder = Self { dir };
        let is_there = folder.dir.exists();
        if is_there && folder.marker().is_file() {
            if !fresh {
                return Err(FolderError::Earlier(folder.dir));
            }
            folder.clear()?;
        } else if is_there && !folder.is_empty()? {
            return Err(FolderError::Foreign(folder.dir));
        }
        std::fs::create_dir_all(&folder.dir).map_err(|source| folder.io("create", source))?;
        std::fs::write(folder.marker(), MARKER_TEXT).map_err(|source| folder.io("write to", source))?;
        Ok(folder)
    }

    /// Makes `dir`, or, where that holds an earlier demo, the first of `dir-2`, `dir-3`, … that is free.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn prepare_unused(dir: &Path) -> Result<Self, FolderError> {
        let numbered = (2u32..).map(|number| PathBuf::from(format!("{}-{number}", dir.display())));
        let mut places = std::iter::once(dir.to_path_buf()).chain(numbered);
        loop {
            // Endless, but folders are not.
            let place = places.next().unwrap_or_default();
            match Self::prepare(place, false) {
                Err(FolderError::Earlier(_)) => {}
                other => return other,
            }
        }
    }

    /// The initiator's home.
    pub fn car(&self) -> PathBuf {
        self.dir.join(CAR)
    }

    /// The responder's home.
    pub fn charger(&self) -> PathBuf {
        self.dir.join(CHARGER)
    }

    /// The home of somebody who has both cards.
    pub fn eavesdropper(&self) -> PathBuf {
        self.dir.join(EAVESDROPPER)
    }

    /// The chain they share.
    pub fn ledger(&self) -> PathBuf {
        self.dir.join(LEDGER)
    }

    /// The ledger's place as a home's configuration names it: the folder can be moved as a whole.
    pub fn ledger_from_home() -> PathBuf {
        Path::new("..").join(LEDGER)
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes back what the demo made; whatever else lies there stays.
    ///
    /// # Errors
    /// The file system's.
    pub fn clear(&self) -> Result<(), FolderError> {
        for name in [CAR, CHARGER, EAVESDROPPER, LEDGER] {
            let path = self.dir.join(name);
            if path.exists() {
                std::fs::remove_dir_all(&path).map_err(|source| FolderError::Io {
                    action: "remove",
                    path,
                    source,
                })?;
            }
        }
        std::fs::remove_file(self.marker()).map_err(|source| self.io("clear", source))?;
        // Only an empty one goes.
        let _ = std::fs::remove_dir(&self.dir);
        Ok(())
    }

    fn marker(&self) -> PathBuf {
        self.dir.join(MARKER)
    }

    fn is_empty(&self) -> Result<bool, FolderError> {
        let mut entries = std::fs::read_dir(&self.dir).map_err(|source| self.io("read", source))?;
        Ok(entries.next().is_none())
    }

    fn io(&self, action: &'static str, source: io::Error) -> FolderError {
        FolderError::Io { action, path: self.dir.clone(), source }
    }
}
