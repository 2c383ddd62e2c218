//! Groups that may be used, and those that may not (PROTOCOL.md 6.1.1).

use keyway_protocol::suite::{BadGroup, Numbers, Suite};

use crate::file;
use crate::fixtures::{COMPOSITE, MODP2048, MODP3072, SAFE2060, SMOOTH, bytes};
use crate::json::{Json, hex, object};

#[test]
fn the_vectors_of_groups_are_what_the_code_gives() {
    let last_less = |hex: &str, less: u8| {
        let mut number = bytes(hex);
        *number.last_mut().unwrap() -= less;
        number
    };
    let p = bytes(MODP2048);
    let cases = vec![
        case("modp2048", "RFC 3526's prime of 2048 bits", &p, &[2]),
        case("modp3072", "RFC 3526's prime of 3072 bits, another generator", &bytes(MODP3072), &[9]),
        case("safe2060", "a prime whose length is no multiple of 8 bits", &bytes(SAFE2060), &[4]),
        case(
            "large-generator",
            "p - 4, whose negative is a square, and which is none",
            &p,
            &last_less(MODP2048, 4),
        ),
        case("weak", "a bit too short", &[&[0x7f], &p[1..]].concat(), &[2]),
        case("large", "513 bytes", &[&[1], &[0xff; 512][..]].concat(), &[2]),
        case("zeros", "the modulus begins with one", &[&[0], &p[..]].concat(), &[2]),
        case("generator-zeros", "the generator begins with one", &p, &[0, 2]),
        case("even", "p - 1 in the place of p", &last_less(MODP2048, 1), &[2]),
        case("no-generator", "g is 0", &p, &[]),
        case("one", "g is 1", &p, &[1]),
        case("minus-one", "g is p - 1", &p, &last_less(MODP2048, 1)),
        case("above", "g is p", &p, &p),
        case("longer", "g is longer than p", &p, &[&[1], &p[..]].concat()),
        case("no-square", "g is p - 2", &p, &last_less(MODP2048, 2)),
        case("1-modulo-4", "p - 6 in the place of p", &last_less(MODP2048, 6), &[4]),
        case("composite", "a product of two primes", &bytes(COMPOSITE), &[4]),
        case("smooth", "a prime one above a product of small numbers", &bytes(SMOOTH), &[4]),
    ];
    file::check("groups.json", &object! { "cases": cases });
}

fn case(id: &str, comment: &str, p: &[u8], g: &[u8]) -> Json {
    let numbers = Numbers::new(p, g);
    let error = numbers.as_ref().map_err(|bad| *bad).and_then(|it| it.check(Suite::FfdhCustom)).err();
    object! {
        "id": id,
        "comment": comment,
        "p": hex(p),
        "g": hex(g),
        "bits": numbers.as_ref().ok().map(|numbers| Json::from(numbers.bits())),
        "digest": numbers.as_ref().ok().map(|numbers| hex(numbers.digest())),
        "error": error.map(|bad| Json::from(name(bad))),
    }
}

fn name(bad: BadGroup) -> &'static str {
    match bad {
        BadGroup::TooSmall(_) => "TooSmall",
        BadGroup::TooLarge(_) => "TooLarge",
        BadGroup::LeadingZeros => "LeadingZeros",
        BadGroup::Even => "Even",
        BadGroup::GeneratorOutOfRange => "GeneratorOutOfRange",
        BadGroup::GeneratorOfSmallOrder => "GeneratorOfSmallOrder",
        BadGroup::GeneratorOutsideSubgroup => "GeneratorOutsideSubgroup",
        BadGroup::Composite => "Composite",
        BadGroup::NotSafe => "NotSafe",
        BadGroup::NotThose => "NotThose",
    }
}
