//! Numbers on the stack: little-endian, sign in the highest bit of the last byte.
//!
//! Operands have at most four bytes (five in lock times); results may be larger and are then of no use to the next
//! arithmetic operation.

use crate::ScriptError;

/// Bytes of an operand, but for lock times.
pub const OPERAND: usize = 4;
/// Bytes of a lock time, which reaches beyond 2038.
pub const LOCK_TIME: usize = 5;

/// The number, if it has at most `max` bytes, and where `minimal` is asked for no byte too many.
pub fn decode(bytes: &[u8], minimal: bool, max: usize) -> Result<i64, ScriptError> {
    if bytes.len() > max || (minimal && !is_minimal(bytes)) {
        return Err(ScriptError::ScriptNum);
    }
    let Some((last, rest)) = bytes.split_last() else { return Ok(0) };
    let high = rest.iter().rfold(i64::from(last & 0x7f), |high, byte| (high << 8) | i64::from(*byte));
    Ok(if last & 0x80 == 0 { high } else { -high })
}

/// The shortest encoding.
pub fn encode(number: i64) -> Vec<u8> {
    let mut bytes = number.unsigned_abs().to_le_bytes().to_vec();
    bytes.truncate(8 - number.unsigned_abs().leading_zeros() as usize / 8);
    let sign = if number < 0 { 0x80 } else { 0 };
    match bytes.last_mut() {
        Some(last) if *last & 0x80 == 0 => *last |= sign,
        Some(_) => bytes.push(sign),
        None => {}
    }
    bytes
}

/// A last byte that holds nothing but the sign must have the bit before it to make room for.
fn is_minimal(bytes: &[u8]) -> bool {
    match bytes {
        [] => true,
        [.., before, last] => last & 0x7f != 0 || before & 0x80 != 0,
        [last] => last & 0x7f != 0,
    }
}

/// Whether an item counts as true: any bit is set, but for the sign alone (negative zero).
pub fn is_true(item: &[u8]) -> bool {
    item.split_last().is_some_and(|(last, rest)| last & 0x7f != 0 || rest.iter().any(|byte| *byte != 0))
}

/// 1 for true, nothing for false.
pub fn of_bool(value: bool) -> Vec<u8> {
    if value { vec![1] } else { Vec::new() }
}
