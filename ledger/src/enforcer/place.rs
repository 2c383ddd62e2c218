//! How far an enforcer came, in a file: a height and a hash.

use std::io;
use std::path::{Path, PathBuf};

use keyway_chain::{BlockRef, Height};

use crate::LedgerError;

#[derive(Debug)]
pub(super) struct Place {
    file: PathBuf,
    at: BlockRef,
}

impl Place {
    /// `None` if there is no such file.
    pub(super) fn read(file: &Path) -> Result<Option<Self>, LedgerError> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", file, error)),
        };
        let parse = |text: &str| {
            let (height, hash) = text.trim().split_once(' ')?;
            Some(BlockRef::new(Height::new(height.parse().ok()?), hash.parse().ok()?))
        };
        let damaged = || LedgerError::Corrupt { path: file.to_owned(), what: "it names no block".to_owned() };
        let at = parse(&text).ok_or_else(damaged)?;
        Ok(Some(Self { file: file.to_owned(), at }))
    }

    pub(super) fn begin(file: PathBuf, at: BlockRef) -> Result<Self, LedgerError> {
        let place = Self { file, at };
        place.write()?;
        Ok(place)
    }

    pub(super) fn at(&self) -> BlockRef {
        self.at
    }

    pub(super) fn set(&mut self, at: BlockRef) -> Result<(), LedgerError> {
        if self.at == at {
            return Ok(());
        }
        self.at = at;
        self.write()
    }

    /// The new one replaces the old one whole. What a crash loses is checked once more.
    fn write(&self) -> Result<(), LedgerError> {
        let unfinished = self.file.with_extension("new");
        let text = format!("{} {}\n", self.at.height, self.at.hash);
        let written =
            std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(&unfinished, &self.file));
        written.map_err(|error| failed("write", &self.file, error))
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> LedgerError {
    LedgerError::Io { action, path: path.to_owned(), source }
}
