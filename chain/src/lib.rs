//! What a Bitcoin-family chain is: its parameters, as data in one table, and the quantities that
//! name places in it. Knows nothing of keys, negotiations or networks' transport.

mod params;
mod place;
pub mod work;

pub use params::{Chain, ChainId, Family, NodeDefaults, ProofOfWork, Retarget, UnknownChain};
pub use place::{BlockRef, Depth, Height};
