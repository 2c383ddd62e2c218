//! What docs/ERRATA.md says of the paper, shown: its groups broken, and every test it names there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// base^exponent modulo a number below 2^32.
fn power(base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let (mut power, mut square) = (1 % modulus, base % modulus);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power * square % modulus;
        }
        square = square * square % modulus;
        exponent >>= 1;
    }
    power
}

/// The exponent below `order` by Shanks's baby steps and giant steps.
fn logarithm(generator: u64, power_of_it: u64, order: u64, prime: u64) -> Option<u64> {
    let steps = order.isqrt() + 1;
    let mut baby = HashMap::new();
    let mut value = 1;
    for step in 0..steps {
        baby.entry(value).or_insert(step);
        value = value * generator % prime;
    }
    // The inverse of generator^steps, by Fermat.
    let giant = power(power(generator, steps, prime), prime - 2, prime);
    let mut value = power_of_it;
    for step in 0..steps {
        if let Some(found) = baby.get(&value) {
            return Some(step * steps + found);
        }
        value = value * giant % prime;
    }
    None
}

/// The largest prime of eight decimal digits.
const EIGHT_DIGITS: u64 = 99_999_989;

#[test]
fn an_exponent_modulo_an_eight_digit_prime_is_found_at_once() {
    // 2 generates all numbers modulo this prime: 2^((p-1)/q) is not 1 for any prime factor q of p - 1.
    for secret in [1, 2, 12_345_678, 55_555_555, EIGHT_DIGITS - 2] {
        let share = power(2, secret, EIGHT_DIGITS);
        let found = logarithm(2, share, EIGHT_DIGITS - 1, EIGHT_DIGITS).unwrap();
        assert_eq!(power(2, found, EIGHT_DIGITS), share);
        // Whatever exponent comes out gives the same master key with any peer.
        let theirs = power(2, 31_415_926, EIGHT_DIGITS);
        assert_eq!(power(theirs, found, EIGHT_DIGITS), power(theirs, secret, EIGHT_DIGITS));
    }
}

/// The peer answers with shares of small order; what it gets to know of the key tells the secret modulo each order.
#[test]
fn in_the_papers_group_a_chosen_share_tells_the_secret_modulo_every_small_factor() {
    let small_factors: Vec<u64> = (2..1_000)
        .filter(|q| (EIGHT_DIGITS - 1).is_multiple_of(*q) && (2..*q).all(|d| !q.is_multiple_of(d)))
        .collect();
    assert!(!small_factors.is_empty(), "a random prime less one has small factors");
    let secret = 31_415_926;
    for order in small_factors {
        let chosen = (2..)
            .map(|x| power(x, (EIGHT_DIGITS - 1) / order, EIGHT_DIGITS))
            .find(|share| *share != 1)
            .unwrap();
        let key = power(chosen, secret, EIGHT_DIGITS);
        let told = (0..order).find(|guess| power(chosen, *guess, EIGHT_DIGITS) == key);
        assert_eq!(told, Some(secret % order));
    }
}

#[test]
fn every_test_that_the_errata_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let errata = std::fs::read_to_string(root.join("docs/ERRATA.md")).unwrap();
    let mut sources = String::new();
    sources_under(&root, 0, &mut sources);
    let named: Vec<&str> = errata.split('`').skip(1).step_by(2).filter(|name| is_test_name(name)).collect();
    assert!(named.len() >= 30, "only {} tests are named", named.len());
    for name in named {
        assert!(
            sources.contains(&format!("fn {name}(")),
            "docs/ERRATA.md names the test {name}, which is not there"
        );
    }
    for point in 1..=14 {
        assert!(errata.contains(&format!("\n**{point}. ")), "point {point} is missing");
    }
}

fn is_test_name(name: &str) -> bool {
    name.matches('_').count() >= 3
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The Rust sources of the rooms; what was built is left out.
fn sources_under(folder: &Path, depth: u32, sources: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && depth < 5 && !name.starts_with('.') && name != "target" {
            sources_under(&path, depth + 1, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}
