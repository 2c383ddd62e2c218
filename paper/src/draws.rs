//! How many draws a prime takes (Proposition 10), of random numbers, of odd ones, and if it must be a safe one.

use std::time::{Duration, Instant};

use anyhow::Result;
use crypto_bigint::BoxedUint;
use crypto_primes::{Flavor, is_prime};

use crate::claim::{Place, Row, Verdict};
use crate::plot::{Lines, Plot, Series, Style};
use crate::random::Stream;
use crate::statistics::{Mean, exponent, in_words, prime_density, safe_prime_density, three_digits};
use crate::{Figure, Options, Table, Walk};

/// What is drawn, and what is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A prime, among numbers of so many bits: the paper's Algorithms 1, 2 and 4.
    Random,
    /// A prime, among odd ones.
    Odd,
    /// A p for which (p − 1)/2 is prime too, among numbers of so many bits.
    Safe,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Random, Self::Odd, Self::Safe];

    fn name(self) -> &'static str {
        match self {
            Self::Random => "random numbers",
            Self::Odd => "odd numbers",
            Self::Safe => "random numbers, for a safe prime",
        }
    }

    /// Draws that the theory of numbers expects.
    fn expected(self, bits: f64) -> f64 {
        match self {
            Self::Random => 1.0 / prime_density(bits),
            Self::Odd => 0.5 / prime_density(bits),
            Self::Safe => 1.0 / safe_prime_density(bits),
        }
    }

    /// Bits, and how many primes are drawn of them.
    fn sizes(self, quick: bool) -> &'static [(u32, usize)] {
        match (self, quick) {
            (Self::Safe, true) => &[(27, 120), (64, 100), (100, 60)],
            (Self::Safe, false) => &[(27, 1_500), (64, 1_000), (100, 800), (128, 500), (256, 120), (512, 30)],
            (_, true) => &[(27, 600), (64, 500), (100, 400), (128, 200)],
            (_, false) => &[
                (27, 4_000),
                (64, 4_000),
                (100, 4_000),
                (128, 3_000),
                (256, 1_500),
                (512, 500),
                (1_024, 120),
            ],
        }
    }
}

/// Primes of one kind and length.
struct Drawn {
    kind: Kind,
    bits: u32,
    primes: usize,
    draws: Mean,
    time: Duration,
}

impl Drawn {
    fn new(kind: Kind, bits: u32, primes: usize, stream: &mut Stream) -> Self {
        let started = Instant::now();
        let samples: Vec<f64> = (0..primes).map(|_| draws(kind, bits, stream) as f64).collect();
        let time = started.elapsed() / primes.max(1) as u32;
        Self { kind, bits, primes, draws: Mean::of(&samples), time }
    }

    /// Whether the mean is what is expected: of draws until the first success the deviation is about the mean.
    fn agrees(&self) -> bool {
        let expected = self.kind.expected(f64::from(self.bits));
        self.draws.agrees_with(expected, expected, self.primes)
    }

    fn row(&self) -> [String; 11] {
        let Self { kind, bits, primes, draws, time } = self;
        let ((low, high), expected) = (draws.interval(), kind.expected(f64::from(*bits)));
        let paper = f64::from(*bits);
        [
            kind.name().to_owned(),
            bits.to_string(),
            primes.to_string(),
            format!("{:.2}", draws.mean),
            format!("{low:.2}"),
            format!("{high:.2}"),
            format!("{expected:.2}"),
            self.agrees().to_string(),
            format!("{paper:.0}"),
            format!("{:.3}", paper / draws.mean),
            format!("{:.1}", time.as_secs_f64() * 1e6),
        ]
    }

    fn point(&self) -> (f64, f64) {
        (f64::from(self.bits), self.draws.mean)
    }
}

const COLUMNS: [&str; 11] = [
    "drawn",
    "bits",
    "primes",
    "mean_draws",
    "low_95",
    "high_95",
    "expected_draws",
    "agree",
    "papers_draws",
    "papers_over_measured",
    "time_us_per_prime",
];

/// Candidates until one is found, that one counted.
fn draws(kind: Kind, bits: u32, stream: &mut Stream) -> u64 {
    let mut number = vec![0; bits.div_ceil(8) as usize];
    for draw in 1.. {
        stream.fill(&mut number);
        shape(&mut number, bits, kind == Kind::Odd);
        if survives_division(&number, bits, kind) && is_found(&number, bits, kind) {
            return draw;
        }
    }
    unreachable!("there is always one more")
}

/// Exactly so many bits, and odd if asked for.
fn shape(number: &mut [u8], bits: u32, odd: bool) {
    let top = (bits - 1) % 8;
    if let Some(first) = number.first_mut() {
        *first = (*first & ((1u16 << (top + 1)) - 1) as u8) | 1 << top;
    }
    if let Some(last) = number.last_mut().filter(|_| odd) {
        *last |= 1;
    }
}

/// Products of odd primes, each below 2^32. No number drawn is as small as one of their factors.
const PRODUCTS: [&[u64]; 8] = [
    &[3, 5, 7, 11, 13, 17, 19, 23, 29],
    &[31, 37, 41, 43, 47],
    &[53, 59, 61, 67, 71],
    &[73, 79, 83, 89, 97],
    &[101, 103, 107, 109],
    &[113, 127, 131, 137],
    &[139, 149, 151, 157],
    &[163, 167, 173, 179],
];

/// Whether no small prime divides it, nor, where a safe prime is sought, its half: then it is 1 more than a multiple.
fn survives_division(number: &[u8], bits: u32, kind: Kind) -> bool {
    let safe = kind == Kind::Safe;
    let last = number.last().copied().unwrap_or_default();
    let by_two = if safe { last & 3 == 3 } else { last & 1 == 1 };
    by_two
        && PRODUCTS.iter().take(if bits < 64 { 1 } else { PRODUCTS.len() }).all(|primes| {
            let rest = modulo(number, primes.iter().product());
            primes.iter().all(|prime| rest % prime > u64::from(safe))
        })
}

fn modulo(number: &[u8], modulus: u64) -> u64 {
    let (head, words) = number.as_rchunks::<4>();
    let head = head.iter().fold(0, |rest, byte| (rest << 8 | u64::from(*byte)) % modulus);
    words.iter().fold(head, |rest, word| (rest << 32 | u64::from(u32::from_be_bytes(*word))) % modulus)
}

fn is_found(number: &[u8], bits: u32, kind: Kind) -> bool {
    let candidate = BoxedUint::from_be_slice_vartime(number);
    debug_assert_eq!(candidate.bit_width(), bits);
    is_prime(if kind == Kind::Safe { Flavor::Safe } else { Flavor::Any }, &candidate)
}

pub fn walk(options: Options, walk: &mut Walk) -> Result<()> {
    let mut drawn = Vec::new();
    for kind in Kind::ALL {
        for &(bits, primes) in kind.sizes(options.quick) {
            let mut stream = options.stream(&format!("draws {kind:?} {bits}"));
            drawn.push(Drawn::new(kind, bits, primes, &mut stream));
        }
    }
    let mut table = Table::new(&COLUMNS);
    drawn.iter().for_each(|drawn| table.push(drawn.row()));
    add_claim(options, walk, &drawn);
    walk.figures.push(Figure { name: "draws", table, plot: Plot::Lines(figure(&drawn)) });
    Ok(())
}

fn add_claim(options: Options, walk: &mut Walk, drawn: &[Drawn]) {
    let agree = drawn.iter().all(Drawn::agrees);
    let slope =
        |kind| exponent(&drawn.iter().filter(|it| it.kind == kind).map(Drawn::point).collect::<Vec<_>>());
    let time_slope = |kind| {
        let of_kind = drawn.iter().filter(|it| it.kind == kind && it.bits >= 64);
        exponent(&of_kind.map(|it| (f64::from(it.bits), it.time.as_secs_f64())).collect::<Vec<_>>())
    };
    let slopes = Kind::ALL.map(slope);
    let at_100 = |kind| drawn.iter().find(|it| it.kind == kind && it.bits == 100);
    let told = |kind: Kind| {
        at_100(kind).map_or(String::new(), |it| {
            let (low, high) = it.draws.interval();
            let expected = kind.expected(100.0);
            format!(
                "{} {:.1} draws (95 %: {low:.1} to {high:.1}; expected {expected:.1})",
                kind.name(),
                it.draws.mean
            )
        })
    };
    let factor = |kind| at_100(kind).map_or(0.0, |it| 100.0 / it.draws.mean);
    let [random, odd, safe] = slopes.map(|slope| format!("{slope:.2}"));
    let result = format!(
        "a prime of 100 bits: {}; {}; {}. Draws grow with n to the power {random} (random), {odd} (odd), {safe} (safe)",
        told(Kind::Random),
        told(Kind::Odd),
        told(Kind::Safe),
    );
    let time = format!(
        "time per prime grows with n to the power {} (random), {} (odd), {} (safe)",
        three_digits(time_slope(Kind::Random)),
        three_digits(time_slope(Kind::Odd)),
        three_digits(time_slope(Kind::Safe)),
    );
    let why = format!(
        "1/n is no prime's probability but 1/(n ln 2): of 100 bits the paper's 100 draws are {:.2} times too many for \
         random numbers, {:.2} times for odd ones, and {:.0} times too few for a safe prime, which takes some 0.73 n^2. \
         The draws of a prime are O(n); the time is not, for each draw costs a test whose time grows with n",
        factor(Kind::Random),
        factor(Kind::Odd),
        1.0 / factor(Kind::Safe),
    );
    let [random, _, safe] = slopes;
    let shown = agree && (0.75..1.25).contains(&random) && (1.5..2.5).contains(&safe);
    let row = Row {
        claim: "a prime of n bits takes n draws (100 for 100 bits), and the algorithm's time is O(n)",
        command: "./x test proposition_10_a_safe_prime_takes_about_so_many_draws",
        result,
        time,
        verdict: Verdict::Fails(why).if_shown(shown),
    };
    walk.add(options, Place::Proposition(10), row);
    add_time(options, walk, drawn, agree);
}

/// Proposition 9 says of Algorithm 1 that it takes T and as many tests as draws.
fn add_time(options: Options, walk: &mut Walk, drawn: &[Drawn], agree: bool) {
    let largest = drawn.iter().rfind(|it| it.kind == Kind::Random);
    let safe = drawn.iter().rfind(|it| it.kind == Kind::Safe);
    let (Some(largest), Some(safe)) = (largest, safe) else { return };
    let told = |it: &Drawn| format!("{} bits: {:.0} draws", it.bits, it.draws.mean);
    let time = |it: &Drawn| format!("{} bits: {} a prime", it.bits, in_words(it.time));
    let row = Row {
        claim: "Algorithm 1 takes T, and t for each draw (says Proposition 9)",
        command: "",
        result: format!("{}; safe, {}", told(largest), told(safe)),
        time: format!("{}; safe, {}", time(largest), time(safe)),
        verdict: Verdict::Changed(
            "a sum of draws and tests it is, but most draws end at a small divisor and cost nothing; and what is needed is \
             a safe prime, once for ever: not one every T seconds"
                .to_owned(),
        )
        .if_shown(agree),
    };
    walk.add(options, Place::Algorithm(1), row);
}

fn figure(drawn: &[Drawn]) -> Lines {
    let styles = [Style::Circle, Style::Triangle, Style::Square];
    let measured = Kind::ALL.into_iter().zip(styles).map(|(kind, style)| {
        let of_kind = drawn.iter().filter(|it| it.kind == kind);
        let mut series = Series::new(kind.name(), style, of_kind.clone().map(Drawn::point));
        series.spans = of_kind.map(|it| it.draws.interval()).collect();
        series
    });
    let most = drawn.iter().map(|it| it.bits).max().unwrap_or(64);
    let lengths = || (0..=60).map(|step| 27.0 * (f64::from(most) / 27.0).powf(f64::from(step) / 60.0));
    let expected = |kind: Kind| lengths().map(move |n| (n, kind.expected(n)));
    let theory = [
        Series::new("expected of random numbers: n ln 2", Style::Solid, expected(Kind::Random)),
        Series::new("expected of odd numbers: half of that", Style::Dashed, expected(Kind::Odd)),
        Series::new("expected for a safe prime: some 0.73 n²", Style::LongDashed, expected(Kind::Safe)),
        Series::new("the paper, of random numbers: n", Style::Dotted, lengths().map(|n| (n, n))),
    ];
    Lines {
        title: "Draws until a prime is found (bars: 95 %)".to_owned(),
        x: "length of the prime n (bits)".to_owned(),
        y: "draws (mean)".to_owned(),
        log: (true, true),
        series: measured.chain(theory).collect(),
    }
}
