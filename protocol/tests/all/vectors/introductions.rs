//! Introductions and withdrawals, and texts that are none (PROTOCOL.md 4.3).

use keyway_chain::Height;
use keyway_protocol::introduction::Introduction;

use crate::common::{car, charger, mallory, mnemonic};
use crate::file;
use crate::introductions::{PREFIX, body, text};
use crate::json::{Json, hex, object};

#[test]
fn the_vectors_of_introductions_are_what_the_code_gives() {
    let vectors = object! {
        "valid": vec![
            valid("introduction", "the charger introduces the car", 1, 52_560),
            valid("no-end", "as far as heights go", u32::MAX, u32::MAX),
            valid("withdrawal", "expiry 0: it takes back what lower serials say", 2, 0),
        ],
        "unreadable": unreadable(),
        "choosing": choosing(),
    };
    file::check("introductions.json", &vectors);
}

fn word(serial: u32, expiry: u32) -> Introduction {
    Introduction::sign(&car().permanent, serial, Height::new(expiry), &charger().seed.identity)
}

fn valid(id: &str, comment: &str, serial: u32, expiry: u32) -> Json {
    let introduction = word(serial, expiry);
    let bytes = body(&introduction);
    let (signed, signature) = bytes.split_at(bytes.len() - 64);
    object! {
        "id": id,
        "comment": comment,
        "introducer_mnemonic": mnemonic(2).to_string(),
        "chain": "regtest",
        "subject": hex(introduction.subject()),
        "serial": serial,
        "expiry": expiry,
        "signed": hex(signed),
        "digest": hex(keyway_protocol::hash("introduction", &[signed])),
        "signature": hex(signature),
        "text": introduction.to_string(),
    }
}

fn unreadable() -> Vec<Json> {
    let line = word(3, 700).to_string();
    let whole = body(&word(3, 700));
    let others = body(&Introduction::sign(&car().permanent, 3, Height::new(700), &mallory().seed.identity));
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        text(&bytes)
    };
    let at = whole.len() - 64;
    let forged = text(&[&whole[..at], &others[at..]].concat());
    let swapped = if line.ends_with('A') { "E" } else { "A" };
    vec![
        case("prefix", "a card's", line.replacen("introduction", "card", 1)),
        case("alphabet", "base64url with padding", format!("{line}=")),
        case("checksum", "its last character changed", format!("{}{swapped}", &line[..line.len() - 1])),
        case("version-2", "a later version", changed(0, 2)),
        case("key", "the introducer's key is of no known form", changed(33, 9)),
        case("cut", "one byte lost", text(&whole[..whole.len() - 1])),
        case("long", "one byte too many", text(&[&whole[..], &[0]].concat())),
        case("nothing", "no bytes at all", PREFIX.to_owned()),
        case("later", "the expiry moved", changed(105, 0xff)),
        case("forged", "signed by another", forged),
    ]
}

fn case(id: &str, comment: &str, text: String) -> Json {
    let error = format!("{:?}", text.parse::<Introduction>().unwrap_err());
    let name = error.split('(').next().unwrap().to_owned();
    object! { "id": id, "comment": comment, "text": text, "error": name }
}

/// Which of two words about one party counts.
fn choosing() -> Vec<Json> {
    let pair = |id: &str, comment: &str, known: Introduction, other: Introduction| {
        object! {
            "id": id,
            "comment": comment,
            "known": known.to_string(),
            "other": other.to_string(),
            "counts": if other.replaces(&known) { "other" } else { "known" },
        }
    };
    vec![
        pair("later", "a higher serial", word(1, 700), word(2, 600)),
        pair("earlier", "an old word brought back", word(2, 0), word(1, 700)),
        pair("same", "the very same", word(2, 700), word(2, 700)),
        pair("ends-first", "one serial, ends first", word(2, 700), word(2, 600)),
        pair("ends-later", "one serial, ends later", word(2, 600), word(2, 700)),
    ]
}
