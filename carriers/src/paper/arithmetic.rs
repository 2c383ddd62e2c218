//! Arithmetic of numbers below 2^32, and what breaks it.

use std::collections::HashMap;

/// base^exponent modulo a number below 2^32.
pub fn power(base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let (mut base, mut result) = (base % modulus.max(1), 1 % modulus.max(1));
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent >>= 1;
    }
    result
}

/// Whether a number below 10^8 is prime, by dividing.
pub fn is_prime(number: u64) -> bool {
    number > 1
        && (2..)
            .take_while(|divisor| divisor * divisor <= number)
            .all(|divisor| !number.is_multiple_of(divisor))
}

/// The least x with base^x = value modulo a prime below 2^32: baby steps, giant steps, some ten thousand of each.
pub fn logarithm(base: u64, value: u64, prime: u64) -> Option<u64> {
    let step = prime.isqrt() + 1;
    let mut babies = HashMap::new();
    let mut power_of_base = 1 % prime;
    for exponent in 0..step {
        babies.entry(power_of_base).or_insert(exponent);
        power_of_base = power_of_base * base % prime;
    }
    // base^-step, by Fermat.
    let giant = power(power_of_base, prime.checked_sub(2)?, prime);
    let mut rest = value % prime;
    for count in 0..step {
        if let Some(exponent) = babies.get(&rest) {
            return Some(count * step + exponent);
        }
        rest = rest * giant % prime;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_and_primes_are_what_they_should_be() {
        assert_eq!((power(2, 10, 1_000), power(7, 0, 13), power(5, 3, 1)), (24, 1, 0));
        let primes: Vec<u64> = (0..30).filter(|&number| is_prime(number)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert!(is_prime(99_999_989) && !is_prime(99_999_987));
    }

    #[test]
    fn every_logarithm_modulo_an_eight_digit_prime_is_found() {
        let prime = 99_999_989;
        for (base, exponent) in [(2, 12_345_678), (3, 1), (5, 99_999_987), (1_234, 54_321)] {
            let value = power(base, exponent, prime);
            let found = logarithm(base, value, prime).unwrap();
            assert_eq!(power(base, found, prime), value);
            assert!(found <= exponent);
        }
        // 4 generates squares alone, and 2 is none modulo this one.
        assert_eq!(power(2, 49_999_994, prime), prime - 1);
        assert_eq!(logarithm(4, 2, prime), None);
    }
}
