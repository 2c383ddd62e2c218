//! What the fuzz targets run. The tests of the crates include these files too and replay the seeds in
//! `corpus/` through them, so that they count as tests wherever no fuzzer is.

pub mod backup_text;
pub mod beside;
pub mod card_text;
#[path = "../../protocol/tests/all/common.rs"]
pub mod common;
pub mod evidence;
#[path = "../../protocol/tests/support/groups.rs"]
pub mod fixtures;
pub mod hearsay;
pub mod ledger_bytes;
pub mod letter;
pub mod message_bytes;
pub mod operator_text;
pub mod peer;
pub mod psbt;
pub mod sealed_message;
pub mod stage;
pub mod store_file;
#[path = "../../carriers/tests/value/support.rs"]
pub mod support;
pub mod value_answer;
pub mod value_offer;
