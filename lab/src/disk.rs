//! A simulated disk: files in memory that can be killed, cut from power, filled up or made to fail at any step.
//!
//! SQLite writes to it as to any other file system ([`mount`]), so what a store makes of a crash is what SQLite's
//! own recovery makes of the journal and the pages that were left.

use std::collections::{BTreeMap, HashMap};
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use sqlite_vfs::{DatabaseHandle, LockKind, OpenAccess, OpenOptions, RegisterError, Vfs};

use crate::fuse::{Fuse, Step};

/// The files of one home. They outlive the party that writes them.
#[derive(Debug, Default)]
pub struct Disk {
    files: Mutex<BTreeMap<String, Arc<Mutex<File>>>>,
    fuse: Arc<Fuse>,
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// What was done since the last flush, so that a power cut can undo parts of it.
    unsynced: Vec<Undo>,
    /// Whether a power cut leaves the file's name.
    durable: bool,
}

#[derive(Clone, Debug)]
struct Undo {
    offset: usize,
    before: Vec<u8>,
    after: Vec<u8>,
    len_before: usize,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is killed: what it wrote is there.
    Killed,
    /// The machine loses power: of what was not flushed, some writes are there and some are not.
    PowerCut,
}

impl Disk {
    /// A disk with these files, each flushed.
    pub fn with(files: impl IntoIterator<Item = (String, Vec<u8>)>, fuse: Arc<Fuse>) -> Self {
        let file = |bytes| Arc::new(Mutex::new(File { bytes, durable: true, ..File::default() }));
        let files = files.into_iter().map(|(name, bytes)| (name, file(bytes))).collect();
        Self { files: Mutex::new(files), fuse }
    }

    /// What its files hold.
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        lock(&self.files).iter().map(|(name, file)| (name.clone(), lock(file).bytes.clone())).collect()
    }

    /// What is left when the process that used it has ended so.
    pub fn survive(&self, end: End, rng: &mut Rng) {
        let mut files = lock(&self.files);
        if end == End::PowerCut {
            files.retain(|_, file| {
                let mut file = lock(file);
                file.lose_power(rng);
                file.durable || rng.bool()
            });
        }
        for file in files.values() {
            let mut file = lock(file);
            file.unsynced.clear();
            file.durable = true;
        }
    }

    fn step(&self) -> Result<(), Error> {
        match self.fuse.step() {
            Step::Go => Ok(()),
            Step::Fail => Err(Error::other("the simulated disk failed")),
            Step::Dead => Err(Error::other("the simulated process is dead")),
        }
    }
}

impl File {
    fn write(&mut self, offset: usize, data: &[u8]) {
        let len_before = self.bytes.len();
        let end = offset.saturating_add(data.len());
        if end > len_before {
            self.bytes.resize(end, 0);
        }
        let Some(place) = self.bytes.get_mut(offset..end) else { return };
        let undo = Undo { offset, before: place.to_vec(), after: data.to_vec(), len_before };
        place.copy_from_slice(data);
        self.unsynced.push(undo);
    }

    fn set_len(&mut self, len: usize) {
        let before = self.bytes.get(len..).unwrap_or_default().to_vec();
        self.unsynced.push(Undo { offset: len, before, after: Vec::new(), len_before: self.bytes.len() });
        self.bytes.resize(len, 0);
    }

    /// Goes back to the last flush, then does some of what came after it again.
    fn lose_power(&mut self, rng: &mut Rng) {
        let unsynced = std::mem::take(&mut self.unsynced);
        for undo in unsynced.iter().rev() {
            self.bytes.resize(undo.len_before, 0);
            let end = undo.len_before.min(undo.offset + undo.before.len());
            if let Some(place) = self.bytes.get_mut(undo.offset..end) {
                let kept = place.len();
                place.copy_from_slice(undo.before.get(..kept).unwrap_or_default());
            }
        }
        for write in unsynced.into_iter().filter(|undo| !undo.after.is_empty()) {
            // Whole, not at all, or torn.
            let kept = match rng.u8(..4) {
                0 | 1 => 0,
                2 => write.after.len(),
                _ => rng.usize(..=write.after.len()),
            };
            self.write(write.offset, write.after.get(..kept).unwrap_or_default());
        }
    }
}

/// Makes disks available to SQLite as a file system of that name. Each thread that simulates has its own.
///
/// # Errors
/// If SQLite refuses the name.
pub fn mount(name: &str) -> Result<Mounts, RegisterError> {
    let mounts = Mounts { disks: Arc::default() };
    sqlite_vfs::register(name, mounts.clone(), false)?;
    Ok(mounts)
}

/// Which folder lies on which disk.
#[derive(Clone, Debug)]
pub struct Mounts {
    disks: Arc<Mutex<HashMap<String, Arc<Disk>>>>,
}

impl Mounts {
    /// From now on the files of that folder are those of this disk.
    pub fn set(&self, folder: &str, disk: Arc<Disk>) {
        lock(&self.disks).insert(folder.to_owned(), disk);
    }

    fn find(&self, path: &str) -> Result<(Arc<Disk>, String), Error> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let disk = lock(&self.disks).get(folder).cloned();
        disk.map(|disk| (disk, name.to_owned())).ok_or_else(|| Error::from(ErrorKind::NotFound))
    }
}

/// An open file.
#[derive(Debug)]
pub struct Open {
    disk: Arc<Disk>,
    file: Arc<Mutex<File>>,
    held: LockKind,
}

impl Vfs for Mounts {
    type Handle = Open;

    fn open(&self, path: &str, options: OpenOptions) -> Result<Open, Error> {
        let (disk, name) = self.find(path)?;
        let known = lock(&disk.files).get(&name).cloned();
        let file = match (known, options.access) {
            (Some(_), OpenAccess::CreateNew) => return Err(ErrorKind::AlreadyExists.into()),
            (Some(file), _) => file,
            (None, OpenAccess::Read | OpenAccess::Write) => return Err(ErrorKind::NotFound.into()),
            (None, OpenAccess::Create | OpenAccess::CreateNew) => {
                disk.step()?;
                let file = Arc::new(Mutex::new(File::default()));
                lock(&disk.files).insert(name, Arc::clone(&file));
                file
            }
        };
        Ok(Open { disk, file, held: LockKind::None })
    }

    fn delete(&self, path: &str) -> Result<(), Error> {
        let (disk, name) = self.find(path)?;
        disk.step()?;
        let gone = lock(&disk.files).remove(&name);
        gone.map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &str) -> Result<bool, Error> {
        let (disk, name) = self.find(path)?;
        Ok(lock(&disk.files).contains_key(&name))
    }

    fn temporary_name(&self) -> String {
        // SQLite keeps its temporaries in memory: the store's statements are too small for files.
        String::new()
    }

    fn random(&self, buffer: &mut [i8]) {
        // It names temporary files and marks journals; always the same makes runs repeatable.
        buffer.fill(7);
    }

    fn sleep(&self, duration: Duration) -> Duration {
        duration
    }
}

impl DatabaseHandle for Open {
    type WalIndex = sqlite_vfs::WalDisabled;

    fn size(&self) -> Result<u64, Error> {
        Ok(lock(&self.file).bytes.len() as u64)
    }

    fn read_exact_at(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        let file = lock(&self.file);
        let rest =
            usize::try_from(offset).ok().and_then(|offset| file.bytes.get(offset..)).unwrap_or_default();
        let (there, beyond) = buffer.split_at_mut(rest.len().min(buffer.len()));
        there.copy_from_slice(rest.get(..there.len()).unwrap_or_default());
        // SQLite wants what lies beyond the end as zeros, and to be told.
        beyond.fill(0);
        if beyond.is_empty() { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn write_all_at(&mut self, data: &[u8], offset: u64) -> Result<(), Error> {
        let offset = usize::try_from(offset).map_err(Error::other)?;
        let mut file = lock(&self.file);
        let grows = offset + data.len() > file.bytes.len();
        if grows && self.disk.fuse.is_full() {
            return Err(ErrorKind::WriteZero.into());
        }
        if let Err(error) = self.disk.step() {
            // A write that is cut off may have reached the disk in part.
            if let Some(kept) = self.disk.fuse.torn(data.len()) {
                file.write(offset, data.get(..kept).unwrap_or_default());
            }
            return Err(error);
        }
        file.write(offset, data);
        Ok(())
    }

    fn sync(&mut self, _: bool) -> Result<(), Error> {
        self.disk.step()?;
        let mut file = lock(&self.file);
        file.unsynced.clear();
        file.durable = true;
        Ok(())
    }

    fn set_len(&mut self, size: u64) -> Result<(), Error> {
        self.disk.step()?;
        lock(&self.file).set_len(usize::try_from(size).map_err(Error::other)?);
        Ok(())
    }

    fn lock(&mut self, kind: LockKind) -> Result<bool, Error> {
        // A home has one process at a time: its lock file sees to that.
        self.held = kind;
        Ok(true)
    }

    fn reserved(&mut self) -> Result<bool, Error> {
        Ok(false)
    }

    fn current_lock(&self) -> Result<LockKind, Error> {
        Ok(self.held)
    }

    fn wal_index(&self, _: bool) -> Result<Self::WalIndex, Error> {
        Ok(sqlite_vfs::WalDisabled)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere ends the schedule; what it left is still readable for the report.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
