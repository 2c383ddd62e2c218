//! What it takes to have mk without either secret (Propositions 5 and 8).

use std::time::{Duration, Instant};

use anyhow::Result;
use keyway_carriers::paper::{is_prime, logarithm, power};
use keyway_protocol::suite::{BadGroup, LEAST_BITS, Numbers};

use crate::claim::{Place, Row, Verdict};
use crate::literal::Literal;
use crate::plot::{Lines, Plot, Series, Style};
use crate::random::Stream;
use crate::statistics::{in_words, median, three_digits};
use crate::{Figure, Options, Table, Walk};

/// Logarithms in groups of one length.
struct Broken {
    bits: u32,
    tried: usize,
    found: usize,
    time: Duration,
}

pub fn walk(options: Options, walk: &mut Walk) -> Result<()> {
    let mut stream = options.stream("breaking");
    digits(options, walk, &mut stream);
    let tries = options.samples(40, 6);
    let most = if options.quick { 28 } else { 32 };
    let broken: Vec<Broken> = (16..=most).step_by(2).map(|bits| group(bits, tries, &mut stream)).collect();
    let mut table = Table::new(&["bits", "groups", "found", "time_us_median"]);
    for Broken { bits, tried, found, time } in &broken {
        let time = format!("{:.1}", time.as_secs_f64() * 1e6);
        table.push([bits.to_string(), tried.to_string(), found.to_string(), time]);
    }
    known_strength(options, walk, &broken);
    walk.figures.push(Figure { name: "breaking", table, plot: Plot::Lines(figure(&broken)) });
    Ok(())
}

/// An eavesdropper of so many negotiations in eight digits.
fn digits(options: Options, walk: &mut Walk, stream: &mut Stream) {
    let count = options.samples(300, 20);
    let mut times = Vec::new();
    let mut stolen = 0;
    for _ in 0..count {
        let literal = Literal::new(stream);
        let started = Instant::now();
        let a = logarithm(literal.offer.generator, literal.offer.share, literal.offer.prime);
        times.push(started.elapsed());
        let [key, _] = literal.keys();
        stolen += usize::from(a.is_some_and(|a| literal.offer.master_key(a, literal.answer) == key));
    }
    let row = Row {
        claim: "whoever knows p, g, A and B can hardly guess mk",
        command: "./x test an_exponent_modulo_an_eight_digit_prime_is_found_at_once",
        result: format!("in the paper's eight digits: mk of {stolen} of {count} negotiations, from p, g, A and B alone"),
        time: format!("{} each, by the median", in_words(median(times))),
        verdict: Verdict::Fails(
            "not in groups of 27 bits. In those of 2,048 bits and more it rests on the assumption of Diffie and Hellman, \
             which no run can show; x25519-mlkem768 rests on a second one as well"
                .to_owned(),
        )
        .if_shown(stolen == count),
    };
    walk.add(options, Place::Proposition(5), row);
}

/// Random primes of so many bits, and a random power of a random number.
fn group(bits: u32, tried: usize, stream: &mut Stream) -> Broken {
    let top = 1u64 << (bits - 1);
    let (mut times, mut found) = (Vec::new(), 0);
    for _ in 0..tried {
        let prime = loop {
            let number = top + stream.below(top);
            if is_prime(number) {
                break number;
            }
        };
        let (base, exponent) = (2 + stream.below(prime - 2), stream.below(prime));
        let value = power(base, exponent, prime);
        let started = Instant::now();
        let logarithm = logarithm(base, value, prime);
        times.push(started.elapsed());
        found += usize::from(logarithm.is_some_and(|found| power(base, found, prime) == value));
    }
    Broken { bits, tried, found, time: median(times) }
}

/// The paper calls 1,024 bits the most common strength, and what breaks it too dear. It is refused.
fn known_strength(options: Options, walk: &mut Walk, broken: &[Broken]) {
    let refused = Numbers::new(&[0xff; 128], &[2]);
    let all = broken.iter().all(|it| it.found == it.tried);
    let (found, tried): (usize, usize) =
        broken.iter().fold((0, 0), |(found, tried), it| (found + it.found, tried + it.tried));
    let most = broken.last().map_or(0, |it| it.bits);
    let per_bit = growth(broken).powf(0.5);
    let row = Row {
        claim: "cracking is not feasible: for 1024 bits a machine of hundreds of millions takes a year a prime",
        command: "keyway lab break (README); ./x test numbers_of_impossible_lengths_are_refused_when_they_are_read",
        result: format!(
            "{found} of {tried} logarithms in groups of 16 to {most} bits by the simplest method; a modulus of 1024 bits: \
             {}",
            refused.as_ref().err().map_or("taken".to_owned(), ToString::to_string),
        ),
        time: format!("each bit makes it {} times as long", three_digits(per_bit)),
        verdict: Verdict::Fails(format!(
            "the paper's own numbers have 27 bits; and a year a prime is within reach, once for all who share the prime. \
             Keyway takes no group below {LEAST_BITS} bits"
        ))
        .if_shown(all && refused == Err(BadGroup::TooSmall(1_024))),
    };
    walk.add(options, Place::Proposition(8), row);
}

/// By what the time grows from one length to the next.
fn growth(broken: &[Broken]) -> f64 {
    let (Some(first), Some(last)) = (broken.first(), broken.last()) else { return 1.0 };
    let steps = broken.len().saturating_sub(1).max(1) as f64;
    (last.time.as_secs_f64() / first.time.as_secs_f64().max(1e-9)).powf(1.0 / steps)
}

fn figure(broken: &[Broken]) -> Lines {
    let point = |it: &Broken| (f64::from(it.bits), it.time.as_secs_f64() * 1e3);
    let last = broken.last().map_or((16.0, 1.0), point);
    let doubling =
        (16..=32).map(move |bits| (f64::from(bits), last.1 * 2f64.powf((f64::from(bits) - last.0) / 2.0)));
    let ends = [doubling.clone().next(), doubling.clone().next_back()];
    let digits = ends.into_iter().flatten().map(|(_, time)| (27.0, time));
    Lines {
        title: "A discrete logarithm by baby and giant steps".to_owned(),
        x: "length of the prime (bits)".to_owned(),
        y: "time of this run (ms, median)".to_owned(),
        log: (false, true),
        series: vec![
            Series::new("measured", Style::Circle, broken.iter().map(point)),
            Series::new("twice as long every two bits", Style::Dashed, doubling.clone()),
            Series::new("the paper's eight digits: 27 bits", Style::Dotted, digits),
        ],
    }
}
