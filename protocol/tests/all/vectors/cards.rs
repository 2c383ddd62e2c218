//! Cards that are read and accepted, and cards that are not (PROTOCOL.md 4).

use bitcoin::hex::{DisplayHex, FromHex};
use keyway_chain::{Chain, Height};
use keyway_protocol::card::{Card, CardError, CardRefused, Permanent, Prekey, Renewable};
use keyway_protocol::hash;

use crate::cards_read::{PREFIX, SIGNATURE, body, forge, permanent_len, text};
use crate::common::{Party, car, charger, mallory, mnemonic, party, renewable};
use crate::file;
use crate::json::{Json, hex, object};

const TIP: u32 = 100;

#[test]
fn the_vectors_of_cards_are_what_the_code_gives() {
    let valid = vec![
        valid("plain", "one suite, one carrier, no prekey", ("car", 1, "regtest"), renewable(0)),
        valid("empty-lists", "answers nothing", ("c", 2, "bitcoin"), bare(u32::MAX, u32::MAX)),
        valid("long-name", "32 characters", ("Abc.def_ghi-0123456789.abcdefghi", 3, "litecoin"), bare(1, 0)),
        valid("unknown-numbers", "suites and carriers of later versions", ("car", 1, "signet"), later()),
        valid("prekeys", "sixteen, of several lengths", ("charger", 2, "litecoin-regtest"), with_prekeys()),
    ];
    let vectors = object! { "valid": valid, "unreadable": unreadable(), "reading": acceptance() };
    file::check("cards.json", &vectors);
}

fn bare(serial: u32, expiry: u32) -> Renewable {
    Renewable { expiry: Height::new(expiry), suites: vec![], carriers: vec![], ..renewable(serial) }
}

fn later() -> Renewable {
    Renewable { suites: (1..=16).rev().collect(), carriers: vec![9, 1], ..renewable(7) }
}

fn with_prekeys() -> Renewable {
    let prekey = |n: u8| Prekey {
        suite: n,
        last_height: Height::new(900 + u32::from(n)),
        key: vec![n; usize::from(n) * 3],
    };
    Renewable { prekeys: (0..16).map(prekey).collect(), ..renewable(3) }
}

fn valid(id: &str, comment: &str, (name, entropy, chain): (&str, u8, &str), renewable: Renewable) -> Json {
    let chain = Chain::named(chain).unwrap();
    let party = party(name, entropy, &chain);
    let card = party.card(renewable.clone());
    assert_eq!(card.to_string().parse(), Ok(card.clone()));
    let bytes = body(&card);
    let (permanent, rest) = bytes.split_at(permanent_len(name));
    let (first, rest) = rest.split_at(SIGNATURE);
    let (renewed, second) = rest.split_at(rest.len() - SIGNATURE);
    let digest = party.permanent.digest();
    let prekeys = renewable.prekeys.iter().map(|prekey| {
        object! {
            "suite": u32::from(prekey.suite),
            "last_height": prekey.last_height.to_u32(),
            "key": hex(&prekey.key),
        }
    });
    object! {
        "id": id,
        "comment": comment,
        "mnemonic": mnemonic(entropy).to_string(),
        "chain": chain.name(),
        "name": name,
        "serial": renewable.serial,
        "expiry": renewable.expiry.to_u32(),
        "suites": Json::numbers(renewable.suites.iter().copied()),
        "carriers": Json::numbers(renewable.carriers.iter().copied()),
        "prekeys": prekeys.collect::<Vec<_>>(),
        "permanent": hex(&permanent[1..]),
        "permanent_digest": hex(digest),
        "permanent_signature": hex(first),
        "renewable": hex(renewed),
        "renewable_digest": hex(hash("card renewable", &[&digest, renewed])),
        "renewable_signature": hex(second),
        "text": card.to_string(),
    }
}

/// A card's bytes in their parts, to be put together wrongly.
struct Parts {
    head: Vec<u8>,
    first: Vec<u8>,
    renewable: Vec<u8>,
    second: Vec<u8>,
}

fn parts(party: &Party, renewable: Renewable) -> Parts {
    let bytes = body(&party.card(renewable));
    let head = permanent_len(party.permanent.name.as_str());
    let (tail, end) = (head + SIGNATURE, bytes.len() - SIGNATURE);
    Parts {
        head: bytes[..head].to_vec(),
        first: bytes[head..tail].to_vec(),
        renewable: bytes[tail..end].to_vec(),
        second: bytes[end..].to_vec(),
    }
}

/// Each case has one fault.
fn unreadable() -> Vec<Json> {
    let mut cases = lines();
    cases.extend(frames());
    cases.extend(signed_by_their_owners());
    cases.extend(signatures());
    cases
}

fn unreadable_case(id: &str, comment: &str, text: String) -> Json {
    let error = text.parse::<Card>().unwrap_err();
    object! { "id": id, "comment": comment, "text": text, "error": name_of(&error) }
}

fn name_of(error: &CardError) -> String {
    let debug = format!("{error:?}");
    debug.split('(').next().unwrap().to_owned()
}

/// Faults of the text.
fn lines() -> Vec<Json> {
    let line = car().card(renewable(0)).to_string();
    let at = PREFIX.len() + 30;
    let swapped = if &line[at..=at] == "A" { "B" } else { "A" };
    let changed = format!("{}{swapped}{}", &line[..at], &line[at + 1..]);
    let short = party("c", 1, &Chain::regtest()).card(renewable(0)).to_string();
    assert_eq!((short.len() - PREFIX.len()) % 4, 3, "two bits of the last character are unused");
    let last = short.chars().next_back().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    let stray = format!("{}{}", &short[..short.len() - 1], &alphabet[place + 1..place + 2]);
    vec![
        unreadable_case("prefix", "another kind of text", line.replacen("card", "sealed", 1)),
        unreadable_case(
            "standard-alphabet",
            "base64, and not its URL form",
            format!("{}+A", &line[..line.len() - 2]),
        ),
        unreadable_case("padding", "base64url with padding", format!("{line}=")),
        unreadable_case("stray-bits", "a bit set after the last byte", stray),
        unreadable_case("inner-space", "white space inside", line.replacen(':', ": ", 1)),
        unreadable_case("checksum", "one character changed", changed),
        unreadable_case("line-cut", "four characters lost", line[..line.len() - 4].to_owned()),
        unreadable_case("nothing", "no bytes at all", PREFIX.to_owned()),
    ]
}

/// Faults of the frame, under a right checksum.
fn frames() -> Vec<Json> {
    let Parts { head, first, renewable, second } = parts(car(), renewable(0));
    let whole = [&head[..], &first, &renewable, &second].concat();
    let version = |version| text(&[&[version], &whole[1..]].concat());
    let cut = |len: usize| text(&whole[..len]);
    vec![
        unreadable_case("version-0", "no such version", version(0)),
        unreadable_case("version-2", "a later version", version(2)),
        unreadable_case("cut-in-name", "ends inside the name", cut(3)),
        unreadable_case("cut-in-signature", "ends inside the first signature", cut(head.len() + 10)),
        unreadable_case("cut-by-one", "lacks its last byte", cut(whole.len() - 1)),
        unreadable_case("only-a-checksum", "the checksum of nothing", text(&[])),
        unreadable_case("trailing-byte", "one byte too many", text(&[&whole[..], &[0]].concat())),
    ]
}

/// Faults that the owner signed.
fn signed_by_their_owners() -> Vec<Json> {
    let Parts { head, renewable, .. } = parts(car(), renewable(0));
    let case = |id, comment, head: &[u8], renewable: &[u8]| {
        unreadable_case(id, comment, text(&forge(head, car(), renewable, car())))
    };
    let named = |name: &[u8]| [&[1, u8::try_from(name.len()).unwrap()], name, &head[5..]].concat();
    let key = head.len() - 65;
    let keyed = |key_bytes: &[u8]| [&head[..key], key_bytes, &head[key + 33..]].concat();
    let no_point =
        Vec::from_hex("020000000000000000000000000000000000000000000000000000000000000005").unwrap();
    let hybrid = [&[6], &head[key + 1..key + 33]].concat();
    let list = |n: u8| [vec![n], vec![1; usize::from(n)]].concat();
    let lists = |suites: u8, carriers: u8, prekeys: u8| {
        let prekeys = [vec![prekeys], [1, 0, 0, 0, 9, 0, 1, 0xaa].repeat(usize::from(prekeys))].concat();
        [&renewable[..8], &list(suites), &list(carriers), &prekeys].concat()
    };
    vec![
        case("name-empty", "no character", &named(b""), &renewable),
        case("name-dot-first", "begins with neither letter nor digit", &named(b".car"), &renewable),
        case("name-space", "a character that names do not have", &named(b"my car"), &renewable),
        case("name-not-ascii", "a letter that names do not have", &named(b"aut\xc3\xb3"), &renewable),
        case("name-33", "33 characters", &named(&[b'a'; 33]), &renewable),
        case("key-no-point", "no point of the curve has this x", &keyed(&no_point), &renewable),
        case("key-hybrid", "the first byte of another form", &keyed(&hybrid), &renewable),
        case("suites-17", "17 suites", &head, &lists(17, 1, 0)),
        case("carriers-17", "17 carriers", &head, &lists(1, 17, 0)),
        case("prekeys-17", "17 prekeys", &head, &lists(1, 1, 17)),
    ]
}

/// Signatures by others, or of something else.
fn signatures() -> Vec<Json> {
    let Parts { head, first, renewable: own, second } = parts(car(), renewable(0));
    let others = parts(mallory(), renewable(1));
    let stolen = [&head[..head.len() - 32], &mallory().permanent.sealing].concat();
    let foreign_chain = [&head[..5], Chain::named("bitcoin").unwrap().id().as_bytes(), &head[37..]].concat();
    let mut later = own.clone();
    later[7] ^= 1;
    let case = |id, comment, parts: [&[u8]; 4]| unreadable_case(id, comment, text(&parts.concat()));
    let forged = |head: &[u8], own: &[u8], by| text(&forge(head, car(), own, by));
    vec![
        case("sealing-key-replaced", "under the owner's signature", [&stolen, &first, &own, &second]),
        case("chain-replaced", "under the owner's signature", [&foreign_chain, &first, &own, &second]),
        unreadable_case(
            "sealing-key-by-another",
            "both parts signed by another key",
            text(&forge(&stolen, mallory(), &own, mallory())),
        ),
        case("expiry-changed", "under the owner's signature", [&head, &first, &later, &second]),
        unreadable_case("renewable-by-another", "signed by another key", forged(&head, &own, mallory())),
        case(
            "renewable-of-another",
            "with its signature",
            [&head, &first, &others.renewable, &others.second],
        ),
        case("signatures-swapped", "each in the other's place", [&head, &second, &own, &first]),
    ]
}

/// What the car says to sound cards.
fn acceptance() -> Vec<Json> {
    let charger = charger();
    let card = |serial| charger.card(renewable(serial));
    let until = |height| charger.card(Renewable { expiry: Height::new(height), ..renewable(0) });
    let signed = |permanent| Card::sign(permanent, renewable(4), &charger.seed.identity).unwrap();
    let renamed = Permanent { name: "pump".parse().unwrap(), ..charger.permanent.clone() };
    let resealed = Permanent { sealing: mallory().permanent.sealing, ..charger.permanent.clone() };
    let impostor = party("charger", 3, &Chain::regtest()).card(renewable(9));
    let foreign = party("charger", 2, &Chain::named("litecoin-regtest").unwrap()).card(renewable(0));
    let others = mallory().card(renewable(0));
    let same_serial = charger.card(bare(3, 1_000));
    vec![
        accept("stranger", "nobody is known yet", &card(0), &[]),
        accept("beside-others", "another peer is known", &card(0), &[&others]),
        accept("again", "the very card that is known", &card(3), &[&card(3)]),
        accept("renewed", "a higher serial", &card(4), &[&card(3)]),
        accept("last-height", "expires at the tip's height", &until(TIP), &[]),
        accept("expired", "expired below the tip", &until(TIP - 1), &[]),
        accept("foreign-chain", "a party on another chain", &foreign, &[]),
        accept("own", "the reader's own card", &car().card(renewable(5)), &[]),
        accept("older", "an old card swapped in", &card(3), &[&others, &card(4)]),
        accept("same-serial", "the same serial, other bytes", &same_serial, &[&card(3)]),
        accept("name-taken", "another key under a known name", &impostor, &[&card(3)]),
        accept("renamed", "a known key under another name", &signed(renamed), &[&card(3)]),
        accept("resealed", "a known key with another sealing key", &signed(resealed), &[&card(3)]),
    ]
}

fn accept(id: &str, comment: &str, card: &Card, known: &[&Card]) -> Json {
    let reader = &car().permanent;
    let refused = card.check(reader, Height::new(TIP), known.iter().copied()).err();
    object! {
        "id": id,
        "comment": comment,
        "reader_chain_id": hex(reader.chain.as_bytes()),
        "reader_key": reader.key.to_bytes().to_lower_hex_string(),
        "tip": TIP,
        "known": known.iter().map(|card| Json::from(card.to_string())).collect::<Vec<_>>(),
        "text": card.to_string(),
        "error": refused.as_ref().map(|refused| Json::from(refusal_name(refused))),
    }
}

fn refusal_name(refused: &CardRefused) -> &'static str {
    match refused {
        CardRefused::ForeignChain { .. } => "ForeignChain",
        CardRefused::Expired { .. } => "Expired",
        CardRefused::Own => "Own",
        CardRefused::NameTaken(_) => "NameTaken",
        CardRefused::OtherPermanentPart(_) => "OtherPermanentPart",
        CardRefused::Older { .. } => "Older",
        CardRefused::SameSerial(_) => "SameSerial",
    }
}
