//! Means, their intervals, and what the theory of numbers expects.

use std::time::Duration;

/// The product over odd primes r of r(r − 2)/(r − 1)^2: Hardy and Littlewood's constant of prime pairs.
pub const TWIN: f64 = 0.660_161_815_846_869_6;
/// The product over primes r of 1 − 1/(r(r − 1)): Artin's constant, the mean share of primitive roots among the numbers
/// below a prime.
pub const ARTIN: f64 = 0.373_955_813_619_202_3;
/// Standard errors on both sides of a mean within which its expectation lies in 95 of 100 runs.
const TWO_SIDED_95: f64 = 1.959_964;
/// The same for all but one in 15,000: what a verdict asks, since a table has many rows.
const BEYOND_DOUBT: f64 = 4.0;

/// A mean of samples.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
}

impl Mean {
    pub fn of(samples: &[f64]) -> Self {
        let n = samples.len().max(2) as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let variance = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        Self { mean, error: (variance / n).sqrt() }
    }

    /// Where the expectation lies with a probability of 95 %.
    pub fn interval(&self) -> (f64, f64) {
        (self.mean - TWO_SIDED_95 * self.error, self.mean + TWO_SIDED_95 * self.error)
    }

    /// Whether so many samples of that expectation and that standard deviation may have this mean.
    pub fn agrees_with(&self, expected: f64, deviation: f64, samples: usize) -> bool {
        (self.mean - expected).abs() <= BEYOND_DOUBT * deviation / (samples as f64).sqrt()
    }
}

/// The slope of the line through the logarithms of points, by least squares: the exponent of a power law.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = logs.len() as f64;
    let (mx, my) = (logs.iter().map(|p| p.0).sum::<f64>() / n, logs.iter().map(|p| p.1).sum::<f64>() / n);
    let cross: f64 = logs.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    cross / logs.iter().map(|(x, _)| (x - mx).powi(2)).sum::<f64>()
}

/// Of numbers x from 2^(bits - 1) to 2^bits, the mean of `density` of ln x.
fn over_numbers(bits: f64, density: impl Fn(f64) -> f64) -> f64 {
    const STEPS: u32 = 4_096;
    let top = bits * std::f64::consts::LN_2;
    let at = |step: u32| 0.5 + (f64::from(step) + 0.5) / f64::from(2 * STEPS);
    (0..STEPS).map(|step| density(top + at(step).ln())).sum::<f64>() / f64::from(STEPS)
}

/// The share of primes among the numbers of so many bits, by the prime number theorem.
pub fn prime_density(bits: f64) -> f64 {
    over_numbers(bits, |ln| 1.0 / ln)
}

/// The share of safe primes among them, by Hardy and Littlewood's conjecture.
pub fn safe_prime_density(bits: f64) -> f64 {
    TWIN * over_numbers(bits, |ln| 1.0 / (ln * (ln - std::f64::consts::LN_2)))
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The shortest: what else runs on a machine makes others longer.
pub fn least(times: Vec<Duration>) -> Duration {
    times.into_iter().min().unwrap_or_default()
}

/// A duration to three digits.
pub fn in_words(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A number to three digits.
pub fn three_digits(value: f64) -> String {
    let decimals = (2 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 6) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_are_those_of_counted_primes() {
        let is_prime = keyway_carriers::paper::is_prime;
        let numbers = 1u64 << 15..1 << 16;
        let primes = numbers.clone().filter(|&n| is_prime(n)).count() as f64;
        let safe = numbers.filter(|&n| is_prime(n) && is_prime(n / 2)).count() as f64;
        let all = f64::from(1 << 15);
        assert!((primes / all / prime_density(16.0) - 1.0).abs() < 0.01, "{primes}");
        assert!((safe / all / safe_prime_density(16.0) - 1.0).abs() < 0.1, "{safe}");
    }

    #[test]
    fn a_power_law_shows_its_exponent() {
        let points: Vec<(f64, f64)> = (1..9).map(|x| (f64::from(x), 3.0 * f64::from(x).powf(2.5))).collect();
        assert!((exponent(&points) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn numbers_have_three_digits() {
        let told: Vec<String> = [0.01234, 1.234, 12.34, 123.4, 12_345.0].map(three_digits).to_vec();
        assert_eq!(told, ["0.0123", "1.23", "12.3", "123", "12345"]);
    }
}
