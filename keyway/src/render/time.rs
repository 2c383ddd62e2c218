//! Block times as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(feature = "embedded")]
pub use keyway_evidence::time::clock;
pub use keyway_evidence::time::date_and_time;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How much time has passed since then.
pub fn since(seconds: u32) -> std::time::Duration {
    let then = UNIX_EPOCH + std::time::Duration::from_secs(seconds.into());
    SystemTime::now().duration_since(then).unwrap_or_default()
}

/// How long ago that was: `18 s`, `3 h`. Block times may lie a little ahead of the clock.
pub fn age(seconds: u32) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let age = now.saturating_sub(seconds.into());
    let (number, unit) = match age {
        0..120 => (age, "s"),
        120..7_200 => (age / MINUTE, "min"),
        7_200..172_800 => (age / HOUR, "h"),
        _ => (age / DAY, "days"),
    };
    format!("{number}\u{a0}{unit}")
}
