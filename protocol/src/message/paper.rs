//! Messages A and B as the paper lays them out (its section 4.2), with our tag at the end of B (PROTOCOL.md 6.2
//! and 6.3).

use bitcoin::Txid;
use bitcoin::hashes::Hash;

use super::{
    Answer, AnswerTerms, BadMessage, Brought, IN_AMOUNTS, Offer, Tag, Terms, answered_suite, check_length,
    split_head, suite_of,
};
use crate::encode::{CutShort, Reader};
use crate::suite::{LEAST_BITS, MOST_BITS, Numbers, Published, Suite};

/// Bytes of the moduli that offers bring.
const MODULUS_LENS: std::ops::RangeInclusive<usize> = LEAST_BITS as usize / 8..=MOST_BITS as usize / 8;

/// A_len, g_len and p_len; timestamp and type.
pub(super) const OFFER_FRAME: usize = 3 * 4 + 4 + 1;
/// B_len; timestamp and type.
pub(super) const ANSWER_FRAME: usize = 4 + 4 + 1;

/// A_len, g_len, p_len, A, g, p, timestamp, type: of a suite whose group is fixed, g and p are empty.
pub(super) fn message_a(share: &[u8], group: &Brought, timestamp: u32, kind: u8) -> Vec<u8> {
    let (g, p) = group.fields();
    let lengths = [length(share), length(g), length(&p)].concat();
    [&lengths, share, g, &p, &timestamp.to_be_bytes(), &[kind]].concat()
}

/// B_len, B, timestamp, type: the tag follows.
pub(super) fn message_b(share: &[u8], timestamp: u32, kind: u8) -> Vec<u8> {
    [&length(share)[..], share, &timestamp.to_be_bytes(), &[kind]].concat()
}

pub(super) fn read_a(bytes: &[u8]) -> Result<Offer, BadMessage> {
    let kind = *bytes.last().ok_or(BadMessage::Empty)?;
    let suite = offered_suite(kind)?;
    let mut reader = Reader::new(bytes);
    let least = OFFER_FRAME + suite.offer_share_len();
    let mut number = || reader.u32().map_err(cut_short(suite, least, bytes)).map(|number| number as usize);
    let [share_len, g_len, p_len] = [number()?, number()?, number()?];
    check_announced(suite, share_len, g_len, p_len)?;
    // Each is some hundred bytes by now.
    let expected = OFFER_FRAME + share_len + g_len + p_len;
    check_length(suite, expected, bytes.len())?;
    let cut = cut_short(suite, expected, bytes);
    let share = reader.take(share_len).map_err(cut)?.to_vec();
    let group = brought(suite, reader.take(g_len).map_err(cut)?, reader.take(p_len).map_err(cut)?)?;
    let timestamp = reader.u32().map_err(cut)?;
    Ok(Offer { suite, terms: Terms::Static { timestamp }, group, share })
}

/// Refuses what no offer of the suite has, before anything else of it is looked at.
fn check_announced(suite: Suite, share_len: usize, g_len: usize, p_len: usize) -> Result<(), BadMessage> {
    let (fits, of_group) = match suite {
        Suite::FfdhCustom => {
            (MODULUS_LENS.contains(&p_len) && (1..=p_len).contains(&g_len), share_len == p_len)
        }
        Suite::FfdhPublished => ((g_len, p_len) == (0, Published::LEN), MODULUS_LENS.contains(&share_len)),
        _ if (g_len, p_len) != (0, 0) => return Err(BadMessage::Group(suite)),
        _ => (true, share_len == suite.offer_share_len()),
    };
    match (fits, of_group) {
        (false, _) => Err(BadMessage::GroupLength(suite)),
        (true, false) => Err(BadMessage::Announced(share_len as u32)),
        (true, true) => Ok(()),
    }
}

fn brought(suite: Suite, g: &[u8], p: &[u8]) -> Result<Brought, BadMessage> {
    match suite {
        Suite::FfdhCustom => {
            let numbers = Numbers::new(p, g).map_err(|bad| BadMessage::BadGroup(suite, bad))?;
            Ok(Brought::Numbers(numbers))
        }
        Suite::FfdhPublished => {
            let length = BadMessage::GroupLength(suite);
            let (txid, digest) = p.split_first_chunk().ok_or(length)?;
            let digest = digest.try_into().map_err(|_| length)?;
            Ok(Brought::Published(Published { txid: Txid::from_byte_array(*txid), digest }))
        }
        _ => Ok(Brought::Nothing),
    }
}

pub(super) fn read_b(bytes: &[u8]) -> Result<Answer, BadMessage> {
    let (message, tag) = bytes.split_last_chunk().ok_or(BadMessage::Empty)?;
    let suite = answered_suite(*message.last().ok_or(BadMessage::Empty)?)?;
    let least = ANSWER_FRAME + suite.answer_share_len() + Tag::LEN;
    let mut reader = Reader::new(message);
    let share_len = reader.u32().map_err(cut_short(suite, least, bytes))? as usize;
    let fits = match suite.brings_group() {
        true => MODULUS_LENS.contains(&share_len),
        false => share_len == suite.answer_share_len(),
    };
    if !fits {
        return Err(BadMessage::Announced(share_len as u32));
    }
    let expected = ANSWER_FRAME + share_len + Tag::LEN;
    check_length(suite, expected, bytes.len())?;
    let cut = cut_short(suite, expected, bytes);
    let share = reader.take(share_len).map_err(cut)?.to_vec();
    let timestamp = reader.u32().map_err(cut)?;
    Ok(Answer { suite, terms: AnswerTerms::Static { timestamp }, share, tag: Tag(*tag) })
}

fn offered_suite(kind: u8) -> Result<Suite, BadMessage> {
    split_head(&[kind])?;
    if kind & IN_AMOUNTS == 0 { suite_of(kind) } else { Err(BadMessage::Kind(kind, "an offer")) }
}

fn cut_short(suite: Suite, expected: usize, bytes: &[u8]) -> impl Fn(CutShort) -> BadMessage + Copy + use<> {
    let found = bytes.len();
    move |CutShort| BadMessage::Length { suite, expected, found }
}

/// Fields have at most some thousand bytes.
fn length(field: &[u8]) -> [u8; 4] {
    (field.len() as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> Vec<u8> {
        message_a(&[9; 32], &Brought::Nothing, 700, 1)
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
        assert!(matches!(
            read_a(&message_a(&[9; 32], &Brought::Nothing, 700, 0x81)),
            Err(BadMessage::Kind(0x81, _))
        ));
        assert!(matches!(
            read_a(&message_a(&[9; 32], &Brought::Nothing, 700, 0x41)),
            Err(BadMessage::Kind(0x41, _))
        ));
        assert_eq!(read_a(&message_a(&[9; 32], &Brought::Nothing, 700, 9)), Err(BadMessage::UnknownSuite(9)));
    }
}
