//! Groups that this home found sound: what takes seconds is found once, and not by each process anew.

use super::Store;
use crate::error::NodeError;

const NAME: &str = "sound groups";

/// The newest that are remembered.
const MOST: usize = 64;

impl Store {
    /// By their digests.
    pub(crate) fn sound_groups(&self) -> Result<Vec<[u8; 32]>, NodeError> {
        let bytes = self.meta(NAME)?.unwrap_or_default();
        Ok(bytes.as_chunks().0.to_vec())
    }

    /// Inside a step of the store.
    pub(crate) fn note_sound_group(&self, digest: [u8; 32]) -> Result<(), NodeError> {
        let mut known = self.sound_groups()?;
        if known.contains(&digest) {
            return Ok(());
        }
        known.push(digest);
        let newest = known.split_off(known.len().saturating_sub(MOST));
        self.set_meta(NAME, newest.as_flattened())
    }
}
