//! Randomness from the operating system: the one place where this crate draws it.

use keyway_protocol::secret::Secret;

use crate::error::NodeError;

pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NodeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NodeError::Randomness)?;
    Ok(bytes)
}

pub(crate) fn secret<const N: usize>() -> Result<Secret<N>, NodeError> {
    let mut drawn = Ok(());
    let secret = Secret::fill_with(|bytes| drawn = getrandom::fill(bytes));
    drawn.map(|()| secret).map_err(NodeError::Randomness)
}
