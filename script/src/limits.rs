//! Consensus limits, by Bitcoin Core's names and values.

/// The longest item that may be on a stack, in bytes.
pub const MAX_SCRIPT_ELEMENT_SIZE: usize = 520;
/// Operations other than pushes in one script before tapscript.
pub const MAX_OPS_PER_SCRIPT: usize = 201;
/// Keys of one OP_CHECKMULTISIG.
pub const MAX_PUBKEYS_PER_MULTISIG: usize = 20;
/// The longest script before tapscript, in bytes.
pub const MAX_SCRIPT_SIZE: usize = 10_000;
/// Items on both stacks together.
pub const MAX_STACK_SIZE: usize = 1_000;
/// Lock times below are heights, the others seconds since 1970.
pub const LOCKTIME_THRESHOLD: u32 = 500_000_000;
/// First byte of a witness's last item that makes it the annex (BIP341).
pub const ANNEX_TAG: u8 = 0x50;
/// What each signature of a tapscript takes from the input's budget, in weight units (BIP342).
pub const VALIDATION_WEIGHT_PER_SIGOP_PASSED: i64 = 50;
/// The budget of a tapscript input beyond its witness's size, in weight units (BIP342).
pub const VALIDATION_WEIGHT_OFFSET: i64 = 50;
