//! The work in a header, and whether a header may follow another.

use bitcoin::block::Header;
use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Target};
use thiserror::Error;

use crate::{Chain, Height, ProofOfWork, Retarget};

/// Blocks between two changes of the difficulty.
const INTERVAL: u32 = 2_016;

/// A header that no block of its chain has; whoever shows it is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadWork {
    /// It claims less work than any block of the chain.
    #[error("its target is easier than {0} has any")]
    TooEasy(&'static str),
    /// Its hash is above its target.
    #[error("it lacks the work that it claims")]
    Lacking,
    /// Its target is none that may come after its parent's.
    #[error("its target cannot follow its parent's")]
    Step,
}

/// Whether a header has the work that it claims, and claims what its chain asks for at least.
///
/// # Errors
/// [`BadWork`].
pub fn check(header: &Header, chain: &Chain) -> Result<(), BadWork> {
    let target = Target::from_compact(header.bits);
    if target > chain.easiest_target() {
        return Err(BadWork::TooEasy(chain.name()));
    }
    let number = match chain.proof_of_work() {
        ProofOfWork::DoubleSha256 => header.block_hash(),
        ProofOfWork::Scrypt => scrypt(header).ok_or(BadWork::Lacking)?,
    };
    if target.is_met_by(number) { Ok(()) } else { Err(BadWork::Lacking) }
}

/// Whether a child's target may follow its parent's; `at` is the child's height.
///
/// # Errors
/// [`BadWork::Step`].
pub fn check_step(parent: &Header, child: &Header, at: Height, chain: &Chain) -> Result<(), BadWork> {
    if chain.retarget() == Retarget::Loose {
        return Ok(());
    }
    let (before, after) = (Target::from_compact(parent.bits), Target::from_compact(child.bits));
    let allowed = if at.to_u32().is_multiple_of(INTERVAL) {
        // The limits are cut to what a header can write: one unit in 32,768 is left for that.
        let slack = |target: Target| Target::from_compact(target.to_compact_lossy());
        let (least, most) = (before.min_transition_threshold(), before.max_transition_threshold_unchecked());
        slack(least) <= after && after <= most
    } else {
        child.bits == parent.bits
    };
    if allowed { Ok(()) } else { Err(BadWork::Step) }
}

/// The number that a scrypt chain compares with the target.
fn scrypt(header: &Header) -> Option<BlockHash> {
    let bytes = serialize(header);
    let mut number = [0; 32];
    let params = scrypt::Params::new(10, 1, 1).ok()?;
    scrypt::scrypt(&bytes, &bytes, &params, &mut number).ok()?;
    Some(BlockHash::from_byte_array(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::consensus::encode::deserialize_hex;
    use bitcoin::{CompactTarget, Network};

    /// Litecoin's genesis block, whose hash is in the table of chains.
    fn litecoin_genesis() -> Header {
        let hex = "010000000000000000000000000000000000000000000000000000000000000000000000d9ced4ed1130f7b7faad9be2\
                   5323ffafa33232a17c3edf6cfd97bee6bafbdd97b9aa8e4ef0ff0f1ecd513f7c";
        deserialize_hex(&hex.replace(' ', "")).unwrap()
    }

    #[test]
    fn the_work_of_litecoins_first_block_is_found() {
        let (chain, header) = (Chain::named("litecoin").unwrap(), litecoin_genesis());
        assert_eq!(header.block_hash(), chain.genesis());
        check(&header, &chain).unwrap();
        let lazy = Header { nonce: 0, ..header };
        assert_eq!(check(&lazy, &chain), Err(BadWork::Lacking));
    }

    #[test]
    fn the_work_of_bitcoins_first_block_is_found() {
        let header = bitcoin::constants::genesis_block(Network::Bitcoin).header;
        let chain = Chain::named("bitcoin").unwrap();
        check(&header, &chain).unwrap();
        assert!(check(&Header { nonce: 0, ..header }, &chain).is_err());
    }

    #[test]
    fn an_easy_block_is_refused_where_blocks_have_a_price() {
        let easy = bitcoin::constants::genesis_block(Network::Regtest).header;
        check(&easy, &Chain::regtest()).unwrap();
        for name in ["bitcoin", "litecoin", "testnet4", "signet"] {
            let chain = Chain::named(name).unwrap();
            assert_eq!(check(&easy, &chain), Err(BadWork::TooEasy(chain.name())));
        }
    }

    #[test]
    fn the_difficulty_moves_every_2016_blocks_and_fourfold_at_most() {
        let main = Chain::named("bitcoin").unwrap();
        let parent = bitcoin::constants::genesis_block(Network::Bitcoin).header;
        let with = |bits| Header { bits: CompactTarget::from_consensus(bits), ..parent };
        let start = with(0x1c00_ffff);
        let step = |child: &Header, at| check_step(&start, child, Height::new(at), &main);
        step(&start, 2_015).unwrap();
        assert!(step(&with(0x1c01_0000), 2_015).is_err());
        step(&with(0x1c03_fffc), 2_016).unwrap();
        step(&with(0x1b3f_ffc0), 2_016).unwrap();
        assert!(step(&with(0x1c03_fffd), 2_016).is_err());
        assert!(step(&with(0x1b3f_ffbf), 2_016).is_err());
        check_step(&start, &with(0x207f_ffff), Height::new(5), &Chain::regtest()).unwrap();
    }
}
