//! Byte strings as groups of bits, most significant bit first, zero bits added at the end.

/// How many groups of `width` bits hold `bytes` bytes.
pub(crate) fn group_count(bytes: usize, width: u32) -> usize {
    (bytes * 8).div_ceil(width as usize)
}

/// The groups of `width` bits, 1 to 31, that `bytes` is cut into.
pub(crate) fn groups(bytes: &[u8], width: u32) -> impl Iterator<Item = u32> {
    let mut bytes = bytes.iter();
    // Holds `held` bits that are not yet in a group: under `width` + 8, so under 39.
    let (mut buffer, mut held) = (0u64, 0u32);
    std::iter::from_fn(move || {
        while held < width {
            match bytes.next() {
                Some(byte) => {
                    buffer = buffer << 8 | u64::from(*byte);
                    held += 8;
                }
                None if held == 0 => return None,
                None => {
                    buffer <<= width - held;
                    held = width;
                }
            }
        }
        held -= width;
        let group = buffer >> held;
        buffer &= low_bits(held);
        u32::try_from(group).ok()
    })
}

/// The first `len` bytes of the groups joined, or nothing if there are too few groups or one of the bits
/// beyond these bytes is set. Groups are below 2^`width`.
pub(crate) fn join(groups: impl IntoIterator<Item = u32>, width: u32, len: usize) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    let (mut buffer, mut held) = (0u64, 0u32);
    let mut rest = 0u64;
    for group in groups {
        buffer = buffer << width | u64::from(group);
        held += width;
        while held >= 8 && joined.len() < len {
            held -= 8;
            joined.push((buffer >> held) as u8);
            buffer &= low_bits(held);
        }
        if joined.len() == len {
            rest |= buffer;
            (buffer, held) = (0, 0);
        }
    }
    (joined.len() == len && rest == 0).then_some(joined)
}

fn low_bits(count: u32) -> u64 {
    (1 << count) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bits_are_cut_from_the_most_significant_end_and_filled_with_zeros() {
        assert_eq!(groups(&[0b1010_0110, 0xff], 3).collect::<Vec<_>>(), [5, 1, 5, 7, 7, 4]);
        assert_eq!(groups(&[0x80], 31).collect::<Vec<_>>(), [1 << 30]);
        assert_eq!(groups(&[], 8).count(), 0);
    }

    #[test]
    fn a_set_bit_beyond_the_message_is_noticed_wherever_it_is() {
        assert_eq!(join([1 << 30], 31, 1), Some(vec![0x80]));
        for bit in 0..23 {
            assert_eq!(join([1 << 30 | 1 << bit], 31, 1), None, "bit {bit}");
        }
        assert_eq!(join([0xaa, 0], 8, 1), Some(vec![0xaa]));
        assert_eq!(join([0xaa, 1], 8, 1), None);
        assert_eq!(join([0xaa], 8, 2), None);
    }

    proptest! {
        #[test]
        fn what_is_cut_into_groups_joins_again(
            bytes in prop::collection::vec(any::<u8>(), 0..100), width in 1u32..=31,
        ) {
            let cut: Vec<u32> = groups(&bytes, width).collect();
            prop_assert_eq!(cut.len(), group_count(bytes.len(), width));
            prop_assert!(cut.iter().all(|group| u64::from(*group) < 1 << width));
            prop_assert_eq!(join(cut, width, bytes.len()), Some(bytes));
        }
    }
}
