//! What a party takes from outside itself: randomness, and the file system that its store lies on.
//!
//! A program takes both from the operating system. A laboratory puts others in their place, so that a run
//! can be repeated from a seed and a disk can fail at any of its writes. Time needs no place here: a party
//! knows no other than the blocks'.

use std::fmt;
use std::sync::Arc;

use keyway_protocol::secret::Secret;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

use crate::error::NodeError;

type Fill = dyn Fn(&mut [u8]) -> Result<(), getrandom::Error> + Send + Sync;

/// See the module's documentation.
#[derive(Clone)]
pub struct Outside {
    random: Arc<Fill>,
    vfs: Option<String>,
}

impl Outside {
    /// The operating system's.
    pub fn system() -> Self {
        Self { random: Arc::new(getrandom::fill), vfs: None }
    }

    /// Randomness from `random`, and the store on the SQLite file system of that name, which the caller has
    /// registered. Only for laboratories: whoever knows `random` knows the party's secrets.
    pub fn simulated(random: impl Fn(&mut [u8]) + Send + Sync + 'static, vfs: &str) -> Self {
        Self { vfs: Some(vfs.to_owned()), ..Self::seeded(random) }
    }

    /// The same on the system's own file system.
    pub fn seeded(random: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        let random = move |bytes: &mut [u8]| {
            random(bytes);
            Ok(())
        };
        Self { random: Arc::new(random), vfs: None }
    }

    pub(crate) fn bytes<const N: usize>(&self) -> Result<[u8; N], NodeError> {
        let mut bytes = [0; N];
        (self.random)(&mut bytes).map_err(NodeError::Randomness)?;
        Ok(bytes)
    }

    pub(crate) fn secret<const N: usize>(&self) -> Result<Secret<N>, NodeError> {
        let mut drawn = Ok(());
        let secret = Secret::fill_with(|bytes| drawn = (self.random)(bytes));
        drawn.map(|()| secret).map_err(NodeError::Randomness)
    }

    pub(crate) fn connect(&self, path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
        match &self.vfs {
            None => Connection::open_with_flags(path, flags),
            Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        }
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("vfs", &self.vfs).finish_non_exhaustive()
    }
}
