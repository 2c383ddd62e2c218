//! A card on its way: what is changed, cut or forged is refused, and the refusal says why (PROTOCOL.md 4).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bitcoin::secp256k1::{Keypair, Message};
use keyway_chain::{Chain, Height};
use keyway_protocol::card::{Card, CardError, Name, Permanent, Prekey, Renewable};
use keyway_protocol::hash;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::common::{Party, SECP, car, mallory, party, renewable};

pub const PREFIX: &str = "keyway-card:";
pub const SIGNATURE: usize = 64;

/// The bytes of a card, without prefix and checksum.
pub fn body(card: &Card) -> Vec<u8> {
    let text = card.to_string();
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap();
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// The text of a card of these bytes, with the right checksum: what somebody writes who knows how.
pub fn text(body: &[u8]) -> String {
    let sum = Sha256::digest(body);
    format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode([body, &sum[..4]].concat()))
}

fn read(body: &[u8]) -> Result<Card, CardError> {
    text(body).parse()
}

/// Bytes of version and permanent part.
pub fn permanent_len(name: &str) -> usize {
    1 + 1 + name.len() + 32 + 33 + 32
}

pub fn rich() -> Renewable {
    let prekey = |suite| Prekey { suite, last_height: Height::new(900), key: vec![suite; 3] };
    Renewable { prekeys: vec![prekey(1), prekey(2)], suites: vec![1, 2, 77], ..renewable(7) }
}

/// Signs both parts of a card's bytes by hand, each with a key of the forger's choice.
pub fn forge(version_and_permanent: &[u8], by: &Party, renewable: &[u8], renewable_by: &Party) -> Vec<u8> {
    let digest = hash("card permanent", &[version_and_permanent]);
    let renewable_digest = hash("card renewable", &[&digest, renewable]);
    let [first, second] = [(digest, by), (renewable_digest, renewable_by)].map(|(digest, by)| {
        let pair = Keypair::from_secret_key(&SECP, &by.secret_key());
        SECP.sign_schnorr_no_aux_rand(&Message::from_digest(digest), &pair).serialize()
    });
    [version_and_permanent, &first, renewable, &second].concat()
}

#[test]
fn a_card_is_read_as_it_was_written_also_with_white_space_around_it() {
    let card = car().card(rich());
    let line = card.to_string();
    assert_eq!(line.parse(), Ok(card.clone()));
    assert_eq!(format!("\n  {line}\r\n").parse(), Ok(card.clone()));
    assert_eq!(text(&body(&card)), line);
    assert!(!line.contains(char::is_whitespace));
}

#[test]
fn no_byte_of_a_card_can_be_changed_even_by_one_who_repairs_the_checksum() {
    let card = car().card(rich());
    let body = body(&card);
    let permanent = permanent_len("car");
    let keys_and_signatures =
        |at: &usize| (5..permanent + SIGNATURE).contains(at) || *at >= body.len() - SIGNATURE;
    for at in 0..body.len() {
        // Of numbers that stand for themselves, each bit; of those that are read as lengths and counts, all values.
        let bits = (0..8).map(|bit| 1 << bit).chain([u8::MAX]);
        let changes: Vec<u8> =
            if keys_and_signatures(&at) { bits.collect() } else { (1..=u8::MAX).collect() };
        for change in changes {
            let mut changed = body.clone();
            changed[at] ^= change;
            let error = read(&changed).unwrap_err();
            let precise = match at {
                0 => error == CardError::UnknownVersion(1 ^ change),
                // A changed length or key may make no sense before any signature is looked at.
                _ if at < permanent => !matches!(
                    error,
                    CardError::UnknownVersion(_) | CardError::RenewableSignature | CardError::Checksum
                ),
                _ if at < permanent + SIGNATURE => error == CardError::PermanentSignature,
                _ if at < body.len() - SIGNATURE => matches!(
                    error,
                    CardError::RenewableSignature
                        | CardError::CutShort
                        | CardError::TrailingBytes(_)
                        | CardError::TooManyEntries(_)
                ),
                _ => error == CardError::RenewableSignature,
            };
            assert!(precise, "byte {at} xor {change:#04x}: {error:?}");
        }
    }
}

#[test]
fn a_card_cut_at_any_length_is_refused_as_cut_short() {
    let body = body(&car().card(rich()));
    for len in 0..body.len() {
        assert_eq!(read(&body[..len]), Err(CardError::CutShort), "{len}");
    }
    for len in 0..4 {
        let text = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(&body[..len]));
        assert_eq!(text.parse::<Card>(), Err(CardError::CutShort), "{len} bytes in all");
    }
}

#[test]
fn a_line_that_lost_its_end_while_being_copied_is_refused() {
    let line = car().card(rich()).to_string();
    for len in 0..line.len() {
        let error = line[..len].parse::<Card>().unwrap_err();
        let expected: &[CardError] = match len {
            _ if len < PREFIX.len() => &[CardError::Prefix],
            _ if len < PREFIX.len() + 6 => &[CardError::CutShort, CardError::Alphabet],
            _ => &[CardError::Checksum, CardError::Alphabet],
        };
        assert!(expected.contains(&error), "{len}: {error:?}");
    }
}

#[test]
fn a_changed_character_is_noticed_by_the_checksum() {
    let line = car().card(renewable(0)).to_string();
    for at in PREFIX.len()..line.len() {
        let other = if &line[at..=at] == "A" { "Q" } else { "A" };
        let changed = format!("{}{other}{}", &line[..at], &line[at + 1..]);
        let error = changed.parse::<Card>().unwrap_err();
        assert!(matches!(error, CardError::Checksum | CardError::Alphabet), "{at}: {error:?}");
    }
}

#[test]
fn a_card_with_bytes_after_its_end_is_refused_with_their_number() {
    let body = body(&car().card(rich()));
    for more in [1, 2, 64, 1_000] {
        let longer = [&body[..], &vec![0; more]].concat();
        assert_eq!(read(&longer), Err(CardError::TrailingBytes(more)));
    }
}

#[test]
fn text_of_another_kind_is_refused_by_its_prefix() {
    let line = car().card(renewable(0)).to_string();
    let bare = line.strip_prefix(PREFIX).unwrap();
    for text in ["", "keyway-card", "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "KEYWAY-CARD:AAAA", bare] {
        assert_eq!(text.parse::<Card>(), Err(CardError::Prefix), "{text}");
    }
}

#[test]
fn each_card_has_one_text_padding_other_alphabets_and_stray_bits_are_refused() {
    // Of the three names, one makes the base64 end evenly, the others leave 2 and 4 bits unused.
    for name in ["c", "ca", "car"] {
        let card = party(name, 1, &Chain::regtest()).card(renewable(0));
        let line = card.to_string();
        let spare_bits = [0, 2, 4][(3 - (body(&card).len() + 4) % 3) % 3];
        let last = line.chars().next_back().unwrap();
        let alphabet: String = BASE64_URL_SAFE_NO_PAD.encode((0..=u8::MAX).collect::<Vec<_>>());
        let others = alphabet.chars().filter(|other| *other != last);
        let mut stray = 0;
        for other in others {
            let changed = format!("{}{other}", &line[..line.len() - 1]);
            stray += usize::from(changed.parse::<Card>() == Err(CardError::Alphabet));
            assert!(changed.parse::<Card>().is_err());
        }
        assert_eq!(stray > 0, spare_bits > 0, "{name}");
        for padded in
            [format!("{line}="), format!("{line}=="), line.replacen('A', "+", 1), line.replacen('A', " ", 1)]
        {
            assert_eq!(padded.parse::<Card>(), Err(CardError::Alphabet));
        }
    }
}

#[test]
fn a_card_of_every_other_version_is_refused_with_that_version() {
    let body = body(&car().card(renewable(0)));
    for version in (0..=u8::MAX).filter(|version| *version != 1) {
        let other = [&[version], &body[1..]].concat();
        assert_eq!(read(&other), Err(CardError::UnknownVersion(version)));
    }
}

#[test]
fn a_name_with_forbidden_length_or_characters_is_refused_though_its_owner_signed_it() {
    let car = car();
    let good = body(&car.card(renewable(0)));
    let (head, tail) = (permanent_len("car"), good.len() - SIGNATURE);
    let names: [&[u8]; 12] = [
        b"",
        b".car",
        b"-car",
        b"_car",
        b"my car",
        b"car\n",
        b"car\0",
        b"c/ar",
        "Autó".as_bytes(),
        b"\xff\xfe",
        b"Abcdefghijklmnopqrstuvwxyz0123456",
        &[b'a'; 255],
    ];
    for name in names {
        let len = u8::try_from(name.len()).unwrap();
        let permanent = [&[1, len], name, &good[5..head]].concat();
        let forged = forge(&permanent, car, &good[head + SIGNATURE..tail], car);
        assert_eq!(read(&forged), Err(CardError::BadName), "{name:?}");
    }
    for name in ["c", "7", "Abcdefghijklmnopqrstuvwxyz012345", "a.b_c-D"] {
        let card = party(name, 1, &Chain::regtest()).card(renewable(0));
        assert_eq!(card.to_string().parse(), Ok(card));
    }
}

#[test]
fn an_identity_key_that_is_no_point_of_the_curve_is_refused() {
    let card = body(&car().card(renewable(0)));
    let key = permanent_len("car") - 32 - 33;
    let with_key = |bytes: [u8; 33]| [&card[..key], &bytes, &card[key + 33..]].concat();
    // 5 is the x coordinate of no point; the prime itself is no coordinate; 4, 6 and 7 begin other forms.
    let x5 = {
        let mut x = [0; 33];
        (x[0], x[32]) = (2, 5);
        x
    };
    let mut keys = vec![[0; 33], x5, [0xff; 33]];
    for prefix in [0, 1, 4, 5, 6, 7, 0x82] {
        let mut other: [u8; 33] = card[key..key + 33].try_into().unwrap();
        other[0] = prefix;
        keys.push(other);
    }
    for bytes in keys {
        assert_eq!(read(&with_key(bytes)), Err(CardError::BadKey), "{bytes:?}");
    }
}

#[test]
fn more_than_sixteen_suites_carriers_or_prekeys_are_refused_though_signed() {
    let car = car();
    let good = body(&car.card(renewable(0)));
    let head = &good[..permanent_len("car")];
    let list = |n: u8| [vec![n], vec![1; usize::from(n)]].concat();
    let prekeys = |n: u8| [vec![n], [1, 0, 0, 0, 9, 0, 1, 0xaa].repeat(usize::from(n))].concat();
    let number = [0; 8];
    for n in [17, 18, 255] {
        let lists = [
            [&number[..], &list(n), &list(1), &prekeys(0)].concat(),
            [&number[..], &list(1), &list(n), &prekeys(0)].concat(),
            [&number[..], &list(1), &list(1), &prekeys(n)].concat(),
        ];
        for renewable in lists {
            let error = read(&forge(head, car, &renewable, car)).unwrap_err();
            assert_eq!(error, CardError::TooManyEntries(usize::from(n)));
        }
    }
    let full = [&number[..], &list(16), &list(16), &prekeys(16)].concat();
    assert_eq!(read(&forge(head, car, &full, car)).unwrap().renewable().prekeys.len(), 16);
}

#[test]
fn a_name_chain_or_key_changed_and_signed_with_another_key_is_refused() {
    let (car, mallory) = (car(), mallory());
    let good = body(&car.card(renewable(0)));
    let (head, tail) = (permanent_len("car"), good.len() - SIGNATURE);
    let renewable = &good[head + SIGNATURE..tail];
    // Mallory would like what is sealed to the car.
    let sealing = &mallory.permanent.sealing;
    let stolen = [&good[..head - 32], sealing].concat();
    assert_eq!(read(&forge(&stolen, mallory, renewable, mallory)), Err(CardError::PermanentSignature));
    // The car's own signature, of its real permanent part, does not help.
    let replayed = [&stolen[..], &good[head..]].concat();
    assert_eq!(read(&replayed), Err(CardError::PermanentSignature));
    // What its owner signs is accepted: the forger's hand is not what was refused.
    assert!(read(&forge(&stolen, car, renewable, car)).is_ok());
}

#[test]
fn a_renewable_part_of_another_party_or_another_permanent_part_is_refused() {
    let (car, mallory) = (car(), mallory());
    let other_name = party("wagon", 1, &Chain::regtest());
    let other_chain = party("car", 1, &Chain::named("litecoin-regtest").unwrap());
    let good = body(&car.card(renewable(0)));
    let own = &good[..permanent_len("car") + SIGNATURE];
    for other in [mallory, &other_name, &other_chain] {
        let theirs = body(&other.card(renewable(1)));
        let name = other.permanent.name.as_str();
        let mixed = [own, &theirs[permanent_len(name) + SIGNATURE..]].concat();
        assert_eq!(read(&mixed), Err(CardError::RenewableSignature), "{name}");
    }
    let later = rich();
    let signed = body(&car.card(later.clone()));
    let head = permanent_len("car");
    let renewable = &signed[head + SIGNATURE..signed.len() - SIGNATURE];
    let forged = forge(&signed[..head], car, renewable, mallory);
    assert_eq!(read(&forged), Err(CardError::RenewableSignature));
    assert_eq!(read(&forge(&signed[..head], car, renewable, car)).unwrap().renewable(), &later);
}

#[test]
fn one_signature_in_place_of_the_other_is_refused() {
    let good = body(&car().card(renewable(0)));
    let (head, tail) = (permanent_len("car"), good.len() - SIGNATURE);
    let (first, second) = (&good[head..head + SIGNATURE], &good[tail..]);
    let twice =
        |signature: &[u8]| [&good[..head], signature, &good[head + SIGNATURE..tail], signature].concat();
    assert_eq!(read(&twice(first)), Err(CardError::RenewableSignature));
    assert_eq!(read(&twice(second)), Err(CardError::PermanentSignature));
}

#[test]
fn the_largest_card_is_read_and_a_larger_one_is_neither_written_nor_read() {
    let with_key_of = |len| Renewable {
        prekeys: vec![Prekey { suite: 9, last_height: Height::new(1), key: vec![7; len] }],
        ..renewable(0)
    };
    let car = car();
    let frame = body(&car.card(with_key_of(0))).len();
    let largest = car.card(with_key_of(65_536 - frame));
    assert_eq!(body(&largest).len(), 65_536);
    assert_eq!(largest.to_string().parse(), Ok(largest.clone()));

    for len in [65_537 - frame, 65_535, 65_536] {
        let signed = Card::sign(car.permanent.clone(), with_key_of(len), &car.seed.identity);
        assert_eq!(signed.unwrap_err(), CardError::TooLong, "{len}");
    }
    let longer = [body(&largest), vec![0]].concat();
    assert_eq!(read(&longer), Err(CardError::TooLong));
    assert_eq!(format!("{PREFIX}{}", "A".repeat(1 << 20)).parse::<Card>(), Err(CardError::TooLong));
}

#[test]
fn a_card_that_nobody_could_read_is_not_written() {
    let car = car();
    let sign = |renewable| Card::sign(car.permanent.clone(), renewable, &car.seed.identity);
    let prekey = Prekey { suite: 1, last_height: Height::new(1), key: vec![] };
    let too_long = [
        Renewable { suites: vec![1; 17], ..renewable(0) },
        Renewable { carriers: vec![1; 17], ..renewable(0) },
        Renewable { prekeys: vec![prekey; 17], ..renewable(0) },
    ];
    for renewable in too_long {
        assert_eq!(sign(renewable), Err(CardError::TooManyEntries(17)));
    }
    let mallory = mallory();
    let foreign = Card::sign(car.permanent.clone(), renewable(0), &mallory.seed.identity);
    assert_eq!(foreign, Err(CardError::BadKey));
}

#[test]
fn the_same_card_always_has_the_same_text() {
    assert_eq!(car().card(rich()).to_string(), car().card(rich()).to_string());
}

prop_compose! {
    fn any_renewable()(
        serial in any::<u32>(),
        expiry in any::<u32>(),
        suites in prop::collection::vec(any::<u8>(), 0..=16),
        carriers in prop::collection::vec(any::<u8>(), 0..=16),
        prekeys in prop::collection::vec(any_prekey(), 0..=16),
    ) -> Renewable {
        Renewable { serial, expiry: Height::new(expiry), suites, carriers, prekeys }
    }
}

prop_compose! {
    fn any_prekey()(
        suite in any::<u8>(), last in any::<u32>(), key in prop::collection::vec(any::<u8>(), 0..80),
    ) -> Prekey {
        Prekey { suite, last_height: Height::new(last), key }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_card_comes_back_as_it_was_signed(
        name in "[A-Za-z0-9][A-Za-z0-9._-]{0,31}", sealing in any::<[u8; 32]>(), renewable in any_renewable(),
    ) {
        let car = car();
        let name: Name = name.parse().unwrap();
        let permanent = Permanent { name, sealing, ..car.permanent.clone() };
        let card = Card::sign(permanent, renewable, &car.seed.identity).unwrap();
        prop_assert_eq!(card.to_string().parse(), Ok(card));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*", rest in "[A-Za-z0-9_-]{0,400}") {
        for text in [format!("{PREFIX}{text}"), format!("{PREFIX}{rest}"), text] {
            prop_assert!(text.parse::<Card>().is_err());
        }
    }

    #[test]
    fn no_bytes_with_a_right_checksum_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(read(&bytes).is_err());
        prop_assert!(read(&[&[1][..], &bytes].concat()).is_err());
    }

    #[test]
    fn a_card_with_a_piece_replaced_by_anything_is_refused(
        at in any::<prop::sample::Index>(), len in 0usize..40, piece in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let good = body(&car().card(rich()));
        let at = at.index(good.len());
        let end = (at + len).min(good.len());
        let mixed = [&good[..at], &piece, &good[end..]].concat();
        prop_assume!(mixed != good);
        prop_assert!(read(&mixed).is_err());
    }
}
