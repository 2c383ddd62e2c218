//! Amounts of money as people write and read them.

use std::fmt;
use std::str::FromStr;

use bitcoin::{Amount, Denomination};
use thiserror::Error;

/// Keeps a number and its unit on one line; printed as a space.
const NO_BREAK: char = '\u{a0}';

/// An amount given on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sats(pub Amount);

/// Not an amount.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadAmount {
    /// No number, or a unit that nobody knows.
    #[error("write it as 250000sat, '250 000 sat', 0.0025btc, or a plain number of sat")]
    Form,
    /// Parts of a satoshi.
    #[error("a satoshi has no parts; the smallest amount is 1sat, or 0.00000001btc")]
    TooFine,
    /// More than exists.
    #[error("there are only 21 million bitcoins")]
    TooMuch,
}

impl FromStr for Sats {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let lower = text.trim().to_ascii_lowercase();
        let (number, btc) = match lower.strip_suffix("btc") {
            Some(number) => (number, true),
            None => (lower.strip_suffix("sats").or(lower.strip_suffix("sat")).unwrap_or(&lower), false),
        };
        let digits = ungrouped(number.trim()).ok_or(BadAmount::Form)?;
        let amount = if btc { btc_amount(&digits)? } else { sat_amount(&digits)? };
        if amount > Amount::MAX_MONEY { Err(BadAmount::TooMuch) } else { Ok(Self(amount)) }
    }
}

fn sat_amount(digits: &str) -> Result<Amount, BadAmount> {
    if digits.contains('.') {
        return Err(BadAmount::TooFine);
    }
    digits.parse().map(Amount::from_sat).map_err(|_| BadAmount::TooMuch)
}

fn btc_amount(digits: &str) -> Result<Amount, BadAmount> {
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.trim_end_matches('0').len());
    if decimals > 8 {
        return Err(BadAmount::TooFine);
    }
    Amount::from_str_in(digits, Denomination::Bitcoin).map_err(|_| BadAmount::TooMuch)
}

/// Digits and at most one point, without the spaces and underscores between groups.
fn ungrouped(number: &str) -> Option<String> {
    let is_gap = |c: char| matches!(c, ' ' | '_' | NO_BREAK | '\u{202f}');
    let digits: String = number.chars().filter(|&c| !is_gap(c)).collect();
    let sound = digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        && digits.chars().filter(|&c| c == '.').count() <= 1
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit());
    sound.then_some(digits)
}

/// `250 000 sat`, with spaces at which no line is broken.
pub fn sat(amount: Amount) -> String {
    format!("{}{NO_BREAK}sat", grouped(amount.to_sat()))
}

/// `1 card`, `1 200 cards`.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `250 000`, with spaces at which no line is broken.
pub fn grouped(number: impl fmt::Display) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(NO_BREAK);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_understood_as_people_write_them() {
        for text in
            ["250000", "250000sat", "250 000 sat", "250_000sats", "0.0025btc", "0.0025 BTC", "0.00250000btc"]
        {
            assert_eq!(text.parse(), Ok(Sats(Amount::from_sat(250_000))), "{text}");
        }
        assert_eq!("21000000btc".parse(), Ok(Sats(Amount::MAX_MONEY)));
    }

    #[test]
    fn what_is_no_amount_is_refused_with_the_reason() {
        for text in ["", "sat", "-1", "1e5", "0,5btc", "1.2.3btc", ".5btc", "5.btc", "12euro", "0x10"] {
            assert_eq!(text.parse::<Sats>(), Err(BadAmount::Form), "{text}");
        }
        for text in ["1.5sat", "0.000000001btc"] {
            assert_eq!(text.parse::<Sats>(), Err(BadAmount::TooFine), "{text}");
        }
        for text in ["21000001btc", "99999999999999999999", "99999999999999999999btc"] {
            assert_eq!(text.parse::<Sats>(), Err(BadAmount::TooMuch), "{text}");
        }
    }

    #[test]
    fn digits_are_grouped_by_three() {
        let plain = |number: u64| grouped(number).replace(NO_BREAK, " ");
        assert_eq!(
            [plain(7), plain(916), plain(1_810), plain(2_871_004)],
            ["7", "916", "1 810", "2 871 004"]
        );
    }
}
