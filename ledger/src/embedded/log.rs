//! The log: what the embedded ledger knows, as one file to which records are only ever added.
//!
//! Each record is one whole step of the ledger. It counts once it is complete and its checksum
//! holds; so after a crash at any moment the ledger is what it was after some step, and after every
//! step that was acknowledged, because a step is acknowledged only when its record is on the disk.
//!
//! The mark in the log's head says how far the log was on the disk at least: a bad record before the
//! mark is damage, one behind it is the torn tail of a crash and was never acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bitcoin::BlockHash;
use bitcoin::hashes::{Hash, HashEngine, sha256};

use super::record::Record;
use super::{OpenError, disk};
use crate::LedgerError;

const MAGIC: &[u8] = b"keyway embedded ledger, format ";
const FORMAT: u32 = 1;
const SALT: usize = 16;
const CHECK: usize = 16;
/// The largest record is a block of 4 MB beside the transactions it brings back into the mempool.
const MAX_RECORD: u64 = 64_000_000;
/// A record's length before its payload, its checksum after it.
const FRAME: u64 = 4 + CHECK as u64;
/// A place in the file and its checksum.
const MARK: u64 = 8 + CHECK as u64;

/// Where a block lies in the log: its record, and where in the record's payload it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    record: u64,
    begin: usize,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    path: PathBuf,
    /// Makes checksums differ between files, so that bytes which a stranger puts into a block are
    /// never taken for a record of this file.
    salt: [u8; SALT],
    /// Where the mark lies; the first record follows it.
    mark: u64,
    /// End of the last good record.
    end: u64,
    /// What lies before this is on the disk.
    synced: u64,
}

impl Log {
    /// Starts a log in a folder that has none.
    pub(super) fn create(path: &Path, genesis: BlockHash, salt: [u8; SALT]) -> Result<(), LedgerError> {
        let new = path.with_file_name(disk::NEW_LOG);
        let mut header = [MAGIC, format!("{FORMAT}\n").as_bytes(), &salt].concat();
        header.extend_from_slice(genesis.as_byte_array());
        let check = checksum(&[&header]);
        header.extend_from_slice(&check);
        let records = header.len() as u64 + MARK;
        header.extend_from_slice(&mark(&salt, records));
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&header)?;
            file.sync_all()?;
            std::fs::rename(&new, path)?;
            disk::sync_folder(path)
        };
        write().map_err(|e| disk::error("create", path, e))
    }

    /// Opens a log, hands each record to `replay` in order, and cuts a torn tail off.
    pub(super) fn open(
        path: &Path,
        genesis: BlockHash,
        mut replay: impl FnMut(Record, Option<Extent>) -> Result<(), LedgerError>,
    ) -> Result<Self, OpenError> {
        let io = |action| move |e| disk::error(action, path, e);
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io("open"))?;
        let len = file.metadata().map_err(io("read"))?.len();
        let (salt, mark) = read_header(&mut file, path, genesis)?;
        let end = mark + MARK;
        let mut log = Self { file, path: path.to_owned(), salt, mark, end, synced: end };
        log.synced = log.read_mark(len)?;
        while let Some((payload, next)) = log.read_record(log.end, len)? {
            let record = Record::decode(&payload).map_err(|what| log.corrupt(what))?;
            let extent = record.block_offset().map(|begin| Extent { record: log.end, begin });
            replay(record, extent)?;
            log.end = next;
        }
        log.cut_tail(len)?;
        Ok(log)
    }

    /// Adds a record. It is safe from a crash of this process at once, from one of the machine
    /// after [`sync`](Self::sync). Returns where its block lies, if it has one.
    pub(super) fn append(&mut self, record: &Record) -> Result<Option<Extent>, LedgerError> {
        let payload = record.encode();
        if payload.len() as u64 > MAX_RECORD {
            return Err(LedgerError::Engine { what: "a step is too large for the log".to_owned() });
        }
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        let check = self.check(self.end, &payload);
        let frame = [&len[..], &payload, &check].concat();
        self.write_at(self.end, &frame).map_err(|e| disk::error("write", &self.path, e))?;
        let extent = record.block_offset().map(|begin| Extent { record: self.end, begin });
        self.end += frame.len() as u64;
        Ok(extent)
    }

    /// Returns when everything added is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), LedgerError> {
        if self.synced == self.end {
            return Ok(());
        }
        self.file.sync_data().map_err(|e| disk::error("write", &self.path, e))?;
        self.synced = self.end;
        // The mark reaches the disk with the next step. Without it a damaged last record would look
        // like a torn one; nothing else depends on it.
        let _ = self.write_at(self.mark, &mark(&self.salt, self.end));
        Ok(())
    }

    /// Takes back what was added since the last [`sync`](Self::sync), after a failure: what a failed
    /// flush leaves in the system's memory may never reach the disk, though it can be read.
    pub(super) fn cut_unsynced(&mut self) -> Result<(), LedgerError> {
        let cut = self.file.set_len(self.synced).and_then(|()| self.file.sync_all());
        cut.map_err(|e| disk::error("repair", &self.path, e))?;
        self.end = self.synced;
        Ok(())
    }

    /// A block's bytes. They are checked again: the file may have been changed meanwhile.
    pub(super) fn block(&self, at: Extent) -> Result<Vec<u8>, LedgerError> {
        let record = self.read_record(at.record, self.end)?;
        let (mut payload, _) = record.ok_or_else(|| self.bad_record(at.record))?;
        Ok(payload.split_off(at.begin.min(payload.len())))
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn corrupt(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::Corrupt { path: self.path.clone(), what: what.into() }
    }

    fn bad_record(&self, at: u64) -> LedgerError {
        self.corrupt(format!("the record at byte {at} is not what was written there"))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn check(&self, offset: u64, payload: &[u8]) -> [u8; CHECK] {
        checksum(&[&self.salt, &offset.to_le_bytes(), &(payload.len() as u64).to_le_bytes(), payload])
    }

    /// The payload of the record at `offset` and where the next one begins; `None` if there is no
    /// good record.
    fn read_record(&self, offset: u64, file_len: u64) -> Result<Option<(Vec<u8>, u64)>, LedgerError> {
        let left = file_len.saturating_sub(offset);
        if left < FRAME {
            return Ok(None);
        }
        let len = u64::from(u32::from_le_bytes(self.read_at(offset, 4)?.try_into().unwrap_or_default()));
        if len == 0 || len > MAX_RECORD || len > left - FRAME {
            return Ok(None);
        }
        let mut payload = self.read_at(offset + 4, len + CHECK as u64)?;
        let check = payload.split_off(payload.len() - CHECK);
        let good = check == self.check(offset, &payload);
        Ok(good.then_some((payload, offset + FRAME + len)))
    }

    fn read_at(&self, offset: u64, len: u64) -> Result<Vec<u8>, LedgerError> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
        let mut file = &self.file;
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|e| disk::error("read", &self.path, e)).map(|()| bytes)
    }

    /// How far the log was on the disk at least. A mark that cannot be read promises nothing.
    fn read_mark(&self, file_len: u64) -> Result<u64, LedgerError> {
        let records = self.mark + MARK;
        if file_len < records {
            return Err(self.corrupt("its head is cut"));
        }
        let found = self.read_at(self.mark, MARK)?;
        let place = found.first_chunk().map_or(records, |place| u64::from_le_bytes(*place));
        Ok(if found == mark(&self.salt, place) { place } else { records })
    }

    /// The last write before a crash may have left part of a record: it was never acknowledged and
    /// is cut off. What the mark says was on the disk must be there.
    fn cut_tail(&mut self, file_len: u64) -> Result<(), LedgerError> {
        if file_len < self.synced {
            return Err(self.corrupt(format!("it has {file_len} bytes, {} were written", self.synced)));
        }
        if self.end < self.synced {
            return Err(self.bad_record(self.end));
        }
        if self.end < file_len {
            self.file.set_len(self.end).map_err(|e| disk::error("repair", &self.path, e))?;
        }
        self.sync()
    }
}

/// The mark that says "on the disk up to here".
fn mark(salt: &[u8; SALT], synced: u64) -> [u8; MARK as usize] {
    let place = synced.to_le_bytes();
    let mut mark = [0; MARK as usize];
    let bytes = place.into_iter().chain(checksum(&[salt, b"mark", &place]));
    mark.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    mark
}

/// The salt, and where the mark lies.
fn read_header(file: &mut File, path: &Path, genesis: BlockHash) -> Result<([u8; SALT], u64), OpenError> {
    let corrupt = |what: &str| LedgerError::Corrupt { path: path.to_owned(), what: what.to_owned() };
    let mut head = Vec::new();
    let most = MAGIC.len() + 11 + SALT + 32 + CHECK;
    Read::take(&mut *file, most as u64).read_to_end(&mut head).map_err(|e| disk::error("read", path, e))?;
    let rest = head.strip_prefix(MAGIC).ok_or_else(|| corrupt("it does not begin like a ledger's log"))?;
    let line = rest.iter().position(|b| *b == b'\n').ok_or_else(|| corrupt("its first line has no end"))?;
    let (format, rest) = rest.split_at(line);
    let found = String::from_utf8_lossy(format).into_owned();
    if found != FORMAT.to_string() {
        return Err(OpenError::Format { path: path.to_owned(), found, expected: FORMAT });
    }
    let (salt, rest) = rest
        .get(1..)
        .and_then(|r| r.split_first_chunk::<SALT>())
        .ok_or_else(|| corrupt("its head is cut"))?;
    let (found, rest) = rest.split_first_chunk::<32>().ok_or_else(|| corrupt("its head is cut"))?;
    let (check, _) = rest.split_first_chunk::<CHECK>().ok_or_else(|| corrupt("its head is cut"))?;
    let header_len = MAGIC.len() + line + 1 + SALT + 32;
    if *check != checksum(&[head.get(..header_len).unwrap_or_default()]) {
        return Err(corrupt("its head's checksum is wrong").into());
    }
    let found = BlockHash::from_byte_array(*found);
    if found != genesis {
        return Err(LedgerError::ForeignChain { expected: genesis, found }.into());
    }
    Ok((*salt, (header_len + CHECK) as u64))
}

fn checksum(parts: &[&[u8]]) -> [u8; CHECK] {
    let mut engine = sha256::Hash::engine();
    parts.iter().for_each(|part| engine.input(part));
    let mut check = [0; CHECK];
    let hash = sha256::Hash::from_engine(engine).to_byte_array();
    check.iter_mut().zip(hash).for_each(|(c, h)| *c = h);
    check
}
