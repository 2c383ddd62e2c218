//! Backups: what stands in them, what does not, and what is done to them on their way.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use bitcoin::hex::DisplayHex;
use keyway_node::*;
use keyway_protocol::card::{Card, Renewable};
use keyway_protocol::message::Carrier;

use crate::backup_text::{backup_text, signed};
use crate::common::{Party as Somebody, car, charger, mallory, renewable};
use crate::corpora::{check_seeds, replay};
use crate::locked::offered;
use crate::world::*;

#[test]
fn every_seed_of_backup_text_is_read_or_says_why_not() {
    replay("backup_text", backup_text);
}

const BLOCK: &str = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";

/// A body of every kind of line, and one that holds another card.
fn body(own: &Somebody, peer: &Card, more: &str) -> String {
    let card = own.card(Renewable { serial: 3, ..renewable(3) });
    format!(
        "keyway-backup 1\n\
         # What restoring this party takes beside its words. No secret stands here; keep it with them.\n\
         card {card}\nbirthday 0 {BLOCK}\ntip 0 {BLOCK}\nsecrets 7\nprekeys 2\n\
         generation 1 13000\npeer introduced {peer}\n{more}"
    )
}

fn facts() -> String {
    let id = "11".repeat(32);
    format!(
        "offered-to x25519 {key}\nconfirmed {id} {BLOCK}\nvolume {id} 12\n\
         envelope {BLOCK} {id} {script}\nconfig chain = \"regtest\"\nconfig \n",
        key = "22".repeat(32),
        script = "51".repeat(9)
    )
}

/// With the digits of the line that begins so in capitals.
fn in_capitals(text: &str, word: &str) -> String {
    let line = |line: &str| match line.strip_prefix(word) {
        Some(digits) => format!("{word}{}\n", digits.to_uppercase()),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_seeds_are_backups() {
    let peer = charger().card(renewable(1));
    let body = body(car(), &peer, &facts());
    let of = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    let whole = signed(&body, car());
    whole.parse::<Backup>().unwrap();
    check_seeds(
        "backup_text",
        &[
            ("whole", of(0, &whole)),
            ("with-other-line-ends", of(0, &whole.replace('\n', "\r\n"))),
            ("cut-short", of(0, &whole[..whole.len() - 140])),
            ("signed-by-its-owner", of(1, &body)),
            ("signed-by-another", of(2, &body)),
            ("of-a-newer-program", of(1, &body.replace("volume", "weight"))),
            ("without-a-card", of(1, &body.replace("card keyway", "#card keyway"))),
            ("with-a-signature-in-capitals", of(0, &in_capitals(&whole, "signature"))),
            ("with-two-tips", of(1, &format!("{body}tip 0 {BLOCK}\n"))),
            ("with-a-peer-twice", of(1, &format!("{body}peer revoked {peer}\n"))),
            ("text", of(0, "not a backup")),
        ],
    );
}

#[test]
fn a_backup_that_was_cut_damaged_or_changed_is_refused_and_told_apart() {
    let world = World::new();
    let whole = world.car.backup().unwrap().to_string();
    let told = |text: &str| text.parse::<Backup>().unwrap_err();
    let lines: Vec<&str> = whole.lines().collect();
    for keep in 0..lines.len() {
        let cut = lines[..keep].iter().flat_map(|line| [line, "\n"]).collect::<String>();
        let expected = if keep == 0 { BackupError::Head } else { BackupError::CutShort };
        assert_eq!(told(&cut), expected, "{keep} lines");
    }
    let flipped = whole.replacen("secrets 0", "secrets 9", 1);
    assert_eq!(told(&flipped), BackupError::Checksum);
    assert_eq!(told(&in_capitals(&whole, "signature")), BackupError::Signature);
    let (sum, letter) = (whole.rfind("\nsum ").unwrap() + 5, |digit: u8| digit.is_ascii_lowercase());
    if whole[sum..sum + 8].bytes().any(letter) {
        assert_eq!(told(&in_capitals(&whole, "sum")), BackupError::Checksum);
    }
    // Who repairs the checksum still has no signature of the owner.
    let body = flipped.split_once("\nsum ").unwrap().0.to_owned() + "\n";
    let repaired = signed(&body, mallory());
    assert_eq!(told(&repaired), BackupError::Signature);
    assert_eq!(NodeError::from(RestoreError::from(BackupError::Signature)).kind(), Kind::Refused);
    let newer = signed(&format!("{body}mood good\n"), mallory());
    assert!(matches!(told(&newer), BackupError::Line { .. }));
    assert_eq!(told(&whole.replacen("keyway-backup 1", "keyway-backup 2", 1)), BackupError::Head);
}

#[test]
fn what_mail_does_to_the_ends_of_lines_does_no_harm() {
    let world = World::new();
    let backup = world.car.backup().unwrap();
    let mailed = backup.to_string().replace('\n', "\r\n") + "\r\n";
    assert_eq!(mailed.parse::<Backup>().unwrap(), backup);
}

#[test]
fn no_secret_of_the_home_stands_in_its_backup() {
    let mut world = World::new();
    let introduced = world.charger.card().permanent().clone();
    world.car.introduce(&introduced, None).unwrap();
    let id = world.agree();
    offered(&mut world, &over(Carrier::Dynamic));
    offered(&mut world, &over(Carrier::Static));
    let master = world.car.master_key(id).unwrap().unwrap();
    let seed = seed(CAR);
    let mut secrets: Vec<(String, Vec<u8>)> = vec![
        ("identity".to_owned(), seed.identity.to_secret().expose().to_vec()),
        ("sealing".to_owned(), seed.sealing.as_secret().expose().to_vec()),
        ("mk".to_owned(), master.expose().to_vec()),
        ("words".to_owned(), CAR.as_bytes().to_vec()),
    ];
    let (mut chain, mut prekeys) = (seed.chain_head, seed.prekey_head);
    for index in 0..20 {
        secrets.push((format!("s({index})"), chain.head().expose().to_vec()));
        secrets.push((format!("p({index})"), prekeys.head().expose().to_vec()));
        let (n, q);
        ((n, chain), (q, prekeys)) = (chain.take(), prekeys.take());
        secrets.push((format!("n({index})"), n.as_secret().expose().to_vec()));
        secrets.push((format!("q({index})"), q.as_secret().expose().to_vec()));
    }
    // The words are there, too, in no form; and a control, that the search finds what is there.
    let text = world.car.backup().unwrap().to_string();
    let holds = |secret: &[u8]| {
        let hex = secret.to_lower_hex_string();
        let encoded = [BASE64_STANDARD_NO_PAD.encode(secret), BASE64_URL_SAFE_NO_PAD.encode(secret)];
        // In the midst of other bytes an encoding begins at one of three places.
        let inner = (1..3).map(|at| BASE64_URL_SAFE_NO_PAD.encode(&secret[at..]));
        text.contains(&hex)
            || text.to_lowercase().contains(&String::from_utf8_lossy(secret).to_lowercase())
            || encoded.iter().cloned().chain(inner).any(|it| text.contains(&it[..it.len() - 2]))
    };
    for (name, secret) in &secrets {
        assert!(!holds(secret), "{name} stands in the backup");
    }
    assert!(holds(&world.charger.card().permanent().sealing), "the search finds what is there");
}
