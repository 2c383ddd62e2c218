//! Messages A and B as the paper lays them out (its section 4.2), with our tag at the end of B (PROTOCOL.md 6.2
//! and 6.3).

use super::{
    Answer, AnswerTerms, BadMessage, IN_AMOUNTS, Offer, Tag, Terms, answered_suite, check_length, split_head,
    suite_of,
};
use crate::encode::{CutShort, Reader};
use crate::suite::Suite;

/// A_len, g_len and p_len; timestamp and type.
pub(super) const OFFER_FRAME: usize = 3 * 4 + 4 + 1;
/// B_len; timestamp and type.
pub(super) const ANSWER_FRAME: usize = 4 + 4 + 1;

/// A_len, g_len, p_len, A, g, p, timestamp, type: of a suite whose group is fixed, g and p are empty.
pub(super) fn message_a(share: &[u8], timestamp: u32, kind: u8) -> Vec<u8> {
    [&length(share)[..], &[0; 8], share, &timestamp.to_be_bytes(), &[kind]].concat()
}

/// B_len, B, timestamp, type: the tag follows.
pub(super) fn message_b(share: &[u8], timestamp: u32, kind: u8) -> Vec<u8> {
    [&length(share)[..], share, &timestamp.to_be_bytes(), &[kind]].concat()
}

pub(super) fn read_a(bytes: &[u8]) -> Result<Offer, BadMessage> {
    let kind = *bytes.last().ok_or(BadMessage::Empty)?;
    let suite = offered_suite(kind)?;
    let expected = OFFER_FRAME + suite.offer_share_len();
    let cut = cut_short(suite, expected, bytes);
    let mut reader = Reader::new(bytes);
    let mut number = || reader.u32().map_err(cut);
    let [share_len, g_len, p_len] = [number()?, number()?, number()?];
    if (g_len, p_len) != (0, 0) {
        return Err(BadMessage::Group(suite));
    }
    announced(share_len, suite.offer_share_len())?;
    check_length(suite, expected, bytes.len())?;
    let share = reader.take(suite.offer_share_len()).map_err(cut)?.to_vec();
    let timestamp = reader.u32().map_err(cut)?;
    Ok(Offer { suite, terms: Terms::Static { timestamp }, share })
}

pub(super) fn read_b(bytes: &[u8]) -> Result<Answer, BadMessage> {
    let (message, tag) = bytes.split_last_chunk().ok_or(BadMessage::Empty)?;
    let suite = answered_suite(*message.last().ok_or(BadMessage::Empty)?)?;
    let expected = ANSWER_FRAME + suite.answer_share_len() + Tag::LEN;
    let cut = cut_short(suite, expected, bytes);
    let mut reader = Reader::new(message);
    announced(reader.u32().map_err(cut)?, suite.answer_share_len())?;
    check_length(suite, expected, bytes.len())?;
    let share = reader.take(suite.answer_share_len()).map_err(cut)?.to_vec();
    let timestamp = reader.u32().map_err(cut)?;
    Ok(Answer { suite, terms: AnswerTerms::Static { timestamp }, share, tag: Tag(*tag) })
}

fn offered_suite(kind: u8) -> Result<Suite, BadMessage> {
    split_head(&[kind])?;
    if kind & IN_AMOUNTS == 0 { suite_of(kind) } else { Err(BadMessage::Kind(kind, "an offer")) }
}

fn announced(found: u32, expected: usize) -> Result<(), BadMessage> {
    if found as usize == expected { Ok(()) } else { Err(BadMessage::Announced(found)) }
}

fn cut_short(suite: Suite, expected: usize, bytes: &[u8]) -> impl Fn(CutShort) -> BadMessage + Copy + use<> {
    let found = bytes.len();
    move |CutShort| BadMessage::Length { suite, expected, found }
}

/// Shares have at most some thousand bytes.
fn length(share: &[u8]) -> [u8; 4] {
    (share.len() as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Vec<u8> {
        message_a(&[9; 32], 700, 1)
    }

    fn answer() -> Vec<u8> {
        [message_b(&[5; 32], 701, 0x81), vec![3; 16]].concat()
    }

    #[test]
    fn the_layout_is_the_papers() {
        let expected = [&[0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0][..], &[9; 32], &[0, 0, 2, 188, 1]].concat();
        assert_eq!(offer(), expected);
        assert_eq!(read_a(&offer()).unwrap().to_bytes(), offer());
        assert_eq!(read_b(&answer()).unwrap().to_bytes(), answer());
    }

    #[test]
    fn a_message_with_one_byte_more_or_less_is_refused() {
        for bytes in [offer(), answer()] {
            for cut in 0..bytes.len() {
                assert!(read_a(&bytes[..cut]).is_err() && read_b(&bytes[..cut]).is_err());
            }
            let longer = [&[0], &bytes[..]].concat();
            assert!(read_a(&longer).is_err() && read_b(&longer).is_err());
        }
    }

    #[test]
    fn a_group_of_its_own_and_a_wrong_announced_length_are_named() {
        let mut group = offer();
        group[7] = 1;
        assert_eq!(read_a(&group), Err(BadMessage::Group(Suite::X25519)));
        let mut announced = offer();
        announced[0] = 0xff;
        assert_eq!(read_a(&announced), Err(BadMessage::Announced(0xff00_0020)));
        let mut of_answer = answer();
        of_answer[3] = 31;
        assert_eq!(read_b(&of_answer), Err(BadMessage::Announced(31)));
    }

    #[test]
    fn an_offers_type_is_none_of_an_answer_and_has_no_form() {
        assert!(matches!(read_a(&message_a(&[9; 32], 700, 0x81)), Err(BadMessage::Kind(0x81, _))));
        assert!(matches!(read_a(&message_a(&[9; 32], 700, 0x41)), Err(BadMessage::Kind(0x41, _))));
        assert_eq!(read_a(&message_a(&[9; 32], 700, 9)), Err(BadMessage::UnknownSuite(9)));
    }
}
