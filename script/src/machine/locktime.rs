//! Lock times, absolute (BIP65) and relative (BIP112).

use super::Machine;
use crate::limits::LOCKTIME_THRESHOLD;
use crate::{Flags, ScriptError, number};

/// A relative lock time with this bit is none.
const DISABLED: u32 = 1 << 31;
/// A relative lock time with this bit counts 512 seconds, without it blocks.
const SECONDS: u32 = 1 << 22;
/// The bits of a sequence number that say how long.
const LENGTH: u32 = 0xffff;
/// The sequence number of an input for which no lock time holds.
const FINAL: u32 = u32::MAX;

impl Machine<'_> {
    pub(super) fn check_lock_time(&self) -> Result<(), ScriptError> {
        if !self.flags.has(Flags::CHECKLOCKTIMEVERIFY) {
            return Ok(());
        }
        let asked = self.asked_lock_time()?;
        let has = i64::from(self.input.spending().transaction().lock_time.to_consensus_u32());
        let is_height = |time: i64| time < i64::from(LOCKTIME_THRESHOLD);
        let met = is_height(asked) == is_height(has) && asked <= has;
        satisfied(met && self.input.txin().sequence.0 != FINAL)
    }

    pub(super) fn check_sequence(&self) -> Result<(), ScriptError> {
        if !self.flags.has(Flags::CHECKSEQUENCEVERIFY) {
            return Ok(());
        }
        let asked = self.asked_lock_time()?;
        if asked & i64::from(DISABLED) != 0 {
            return Ok(());
        }
        // The version is unsigned to these rules.
        let version = self.input.spending().transaction().version.0 as u32;
        let has = self.input.txin().sequence.0;
        let mask = i64::from(SECONDS | LENGTH);
        let (asked, masked) = (asked & mask, i64::from(has) & mask);
        let same_kind = (asked ^ masked) & i64::from(SECONDS) == 0;
        satisfied(version >= 2 && has & DISABLED == 0 && same_kind && asked <= masked)
    }

    /// The number on top, which stays there.
    fn asked_lock_time(&self) -> Result<i64, ScriptError> {
        let asked = number::decode(self.stack.peek(0)?, self.minimal(), number::LOCK_TIME)?;
        if asked < 0 { Err(ScriptError::NegativeLocktime) } else { Ok(asked) }
    }
}

fn satisfied(met: bool) -> Result<(), ScriptError> {
    if met { Ok(()) } else { Err(ScriptError::UnsatisfiedLocktime) }
}
