//! Bytes that must not leak: zeroized when dropped, never printed, compared in constant time.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

/// `N` secret bytes.
///
/// They live on the heap, so that moving the value leaves no copy behind on the stack. There is no
/// `Clone`: a copy is made by [`Secret::duplicate`], by name.
pub struct Secret<const N: usize = 32>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Lets `fill` write the bytes in their final place.
    pub fn fill_with(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0);
        secret
    }

    /// Copies from a slice of exactly `N` bytes; `None` for any other length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == N).then(|| Self::fill_with(|secret| secret.copy_from_slice(bytes)))
    }

    /// Takes the bytes, wiping what the caller passed.
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let secret = Self::fill_with(|secret| secret.copy_from_slice(bytes));
        bytes.zeroize();
        secret
    }

    /// Lets `rewrite` replace the bytes where they are.
    pub(crate) fn rewrite(&mut self, rewrite: impl FnOnce(&mut [u8; N])) {
        rewrite(&mut self.0);
    }

    /// Hands the bytes out, in so many words.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// A second copy, in so many words.
    pub fn duplicate(&self) -> Self {
        Self::fill_with(|secret| secret.copy_from_slice(self.expose()))
    }

    /// A copy for callers that take a vector; it wipes itself too.
    pub fn to_zeroizing_vec(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_vec())
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<SECRET>")
    }
}

impl<const N: usize> ConstantTimeEq for Secret<N> {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(other.0.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_its_bytes() {
        let secret = Secret::<4>::fill_with(|bytes| bytes.copy_from_slice(&[0xab; 4]));
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "<SECRET> Some(<SECRET>)");
    }

    #[test]
    fn taking_bytes_wipes_the_place_they_came_from() {
        let mut bytes = [7; 32];
        let secret = Secret::take(&mut bytes);
        assert_eq!((bytes, *secret.expose()), ([0; 32], [7; 32]));
    }
}
