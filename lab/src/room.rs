//! What one thread needs to simulate: folders for homes, and a file system that SQLite knows.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use keyway_node::{CONFIG_FILE, NodeError, Outside, Party, STORE_FILE, Unlock};
use tempfile::TempDir;

use crate::disk::{Disk, Mounts, mount};
use crate::people::{NAMES, People, config};

/// See the module's documentation.
#[derive(Debug)]
pub struct Room {
    /// Who lives here.
    pub people: &'static People,
    dir: TempDir,
    vfs: String,
    mounts: Mounts,
}

/// A folder for a home, reused by one schedule after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

/// Which of a person's homes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one it has from the beginning.
    Own,
    /// A copy of it.
    Copy,
    /// One that is looked at and thrown away.
    Scratch,
}

impl Which {
    const ALL: [Self; 3] = [Self::Own, Self::Copy, Self::Scratch];

    fn suffix(self) -> &'static str {
        match self {
            Self::Own => "",
            Self::Copy => "-copy",
            Self::Scratch => "-scratch",
        }
    }
}

impl Room {
    /// A room of its own for this thread.
    ///
    /// # Errors
    /// If the system refuses folders or files.
    pub fn new() -> Result<Self, NodeError> {
        static ROOMS: AtomicU32 = AtomicU32::new(0);
        let people = People::of_this_process()?;
        let dir = tempfile::tempdir().map_err(|source| io(std::env::temp_dir(), source))?;
        let vfs = format!("keyway-lab-{}", ROOMS.fetch_add(1, Ordering::Relaxed));
        let mounts = mount(&vfs).map_err(|error| NodeError::Wallet(error.to_string()))?;
        let room = Self { people, dir, vfs, mounts };
        for person in 0..NAMES.len() {
            Which::ALL.iter().try_for_each(|which| room.furnish(person, *which))?;
        }
        Ok(room)
    }

    /// The configuration is a real file; the store is one in name only: its bytes are on a simulated disk.
    fn furnish(&self, person: usize, which: Which) -> Result<(), NodeError> {
        let path = self.folder(person, which).path;
        std::fs::create_dir(&path).map_err(|source| io(path.clone(), source))?;
        for (name, text) in [(CONFIG_FILE, config(person).to_toml()), (STORE_FILE, String::new())] {
            std::fs::write(path.join(name), text).map_err(|source| io(path.join(name), source))?;
        }
        Ok(())
    }

    /// The folder of a home.
    pub fn folder(&self, person: usize, which: Which) -> Folder {
        let name = NAMES.get(person).copied().unwrap_or_default();
        Folder { path: self.dir.path().join(format!("{name}{}", which.suffix())) }
    }

    /// Puts a disk under a home's store.
    pub fn mount(&self, folder: &Folder, disk: Arc<Disk>) {
        self.mounts.set(&folder.path.to_string_lossy(), disk);
    }

    /// Opens the home there, as a program that starts does.
    ///
    /// # Errors
    /// As [`Party::open`].
    pub fn open(&self, folder: &Folder, random: &Arc<Mutex<Rng>>) -> Result<Party, NodeError> {
        let random = Arc::clone(random);
        let fill = move |bytes: &mut [u8]| random.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
        Party::open_from(&folder.path, &Unlock::Insecure, &Outside::simulated(fill, &self.vfs))
    }
}

fn io(path: PathBuf, source: std::io::Error) -> NodeError {
    NodeError::Io { action: "use", path, source }
}
