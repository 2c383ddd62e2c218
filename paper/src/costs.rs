//! What Algorithms 1 to 5 cost: times, exponentiations, bytes, transactions, by group.

mod told;

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::Result;
use bitcoin::hashes::Hash;
use bitcoin::{FeeRate, OutPoint, Txid};
use keyway_carriers::script::published;
use keyway_carriers::value::p2wpkh_weight;
use keyway_chain::Chain;
use keyway_node::{Quote, Terms};
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Draft, Received};
use keyway_protocol::suite::{Numbers, Suite, expected_draws, generate};

use crate::home::PRICE;
use crate::literal::Literal;
use crate::pairs::Member;
use crate::plot::Plot;
use crate::random::Stream;
use crate::statistics::{least, median};
use crate::{Figure, Options, Walk, groups};

/// nLockTime of the messages' transactions.
const TIMESTAMP: u32 = 840_000;

/// Bytes of an output's amount.
const AMOUNT_LEN: usize = 8;

/// One message, and what making it takes.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    bytes: usize,
    vbytes: u64,
    time: Duration,
}

/// A key agreement over the static carrier: what the initiator does, the responder, and the initiator again.
struct Agreement {
    name: String,
    /// Bits of the modulus, if there is one.
    bits: Option<u32>,
    /// Exponentiations that were counted, of the three steps.
    powers: Option<[f64; 3]>,
    offer: Step,
    answer: Step,
    key: Duration,
    runs: usize,
    /// Runs in which both sides reached the same key.
    same: usize,
    /// One exponentiation in the group.
    one_power: Option<Duration>,
}

pub fn walk(options: Options, walk: &mut Walk, tell: &mut dyn FnMut(&str)) -> Result<()> {
    let mut stream = options.stream("costs");
    let made = if options.quick { None } else { Some(make(&mut stream, tell)?) };
    let runs = options.samples(25, 5);
    let mut all = vec![eight_digits(options, &mut stream)?];
    for &suite in suites(options) {
        all.push(agreement(suite, None, runs, &mut stream)?);
    }
    let mut checks = Vec::new();
    for &(suite, of) in brought(options) {
        let numbers = match (&made, suite, of) {
            (Some(made), Suite::FfdhCustom, Suite::Ffdhe2048) => made.numbers.clone(),
            _ => groups::rfc7919(of, &mut stream)?,
        };
        let started = Instant::now();
        numbers.check(suite)?;
        // What was found sound before in this process is not checked again.
        if suite == Suite::FfdhCustom {
            checks.push((numbers.bits(), started.elapsed()));
        }
        all.push(agreement(suite, Some(&numbers), runs, &mut stream)?);
    }
    let published = published_vbytes(&groups::rfc7919(Suite::Ffdhe2048, &mut stream)?)?;
    told::add_claims(options, walk, &all, &checks, published);
    if let Some(made) = made {
        told::add_made(options, walk, &made);
    }
    walk.figures.push(Figure {
        name: "algorithms",
        table: told::table(&all, published),
        plot: Plot::Bars(told::figure(&all)),
    });
    Ok(())
}

fn suites(options: Options) -> &'static [Suite] {
    if options.quick {
        &[Suite::X25519, Suite::X25519MlKem768, Suite::Ffdhe2048]
    } else {
        &[Suite::X25519, Suite::X25519MlKem768, Suite::Ffdhe2048, Suite::Ffdhe3072, Suite::Ffdhe4096]
    }
}

/// Suites whose offers bring or name a group, and whose modulus that is.
fn brought(options: Options) -> &'static [(Suite, Suite)] {
    if options.quick {
        &[(Suite::FfdhCustom, Suite::Ffdhe2048), (Suite::FfdhPublished, Suite::Ffdhe2048)]
    } else {
        &[
            (Suite::FfdhCustom, Suite::Ffdhe2048),
            (Suite::FfdhCustom, Suite::Ffdhe3072),
            (Suite::FfdhCustom, Suite::Ffdhe4096),
            (Suite::FfdhPublished, Suite::Ffdhe2048),
        ]
    }
}

/// A group that was searched for in this run.
struct Made {
    numbers: Numbers,
    tested: u64,
    time: Duration,
}

fn make(stream: &mut Stream, tell: &mut dyn FnMut(&str)) -> Result<Made> {
    const BITS: u32 = 2_048;
    tell(&format!(
        "  a safe prime of {BITS} bits: some {} candidates, a minute or several",
        expected_draws(BITS)
    ));
    let tested = Cell::new(0);
    let started = Instant::now();
    let numbers = generate(BITS, |bytes| stream.fill(bytes), || tested.set(tested.get() + 1));
    let time = started.elapsed();
    numbers.check(Suite::FfdhCustom)?;
    Ok(Made { numbers, tested: tested.get(), time })
}

/// The paper's own, to the letter: three amounts, one amount.
fn eight_digits(options: Options, stream: &mut Stream) -> Result<Agreement> {
    let runs = options.samples(2_000, 100);
    let (mut times, mut powers) = ([Vec::new(), Vec::new(), Vec::new()], [0.0, 0.0]);
    let mut same = 0;
    for _ in 0..runs {
        let literal = Literal::new(stream);
        let started = Instant::now();
        let [ours, theirs] = literal.keys();
        let both = started.elapsed();
        let [offer, answer] = literal.times;
        // The responder makes its key with its answer.
        times.iter_mut().zip([offer, answer + both / 2, both / 2]).for_each(|(times, time)| times.push(time));
        powers.iter_mut().zip(literal.powers).for_each(|(sum, powers)| *sum += powers as f64 / runs as f64);
        same += usize::from(ours == theirs);
    }
    // Of these the median, for their draws differ by chance.
    let [offer, answer, key] = times.map(median);
    let [for_a, for_b] = powers;
    let vbytes = |outputs| p2wpkh_weight(1, outputs).to_vbytes_ceil();
    Ok(Agreement {
        name: "paper-8digit".to_owned(),
        bits: Some(27),
        powers: Some([for_a, for_b + 1.0, 1.0]),
        offer: Step { bytes: 3 * AMOUNT_LEN, vbytes: vbytes(4), time: offer },
        answer: Step { bytes: AMOUNT_LEN, vbytes: vbytes(2), time: answer },
        key,
        runs,
        same,
        one_power: None,
    })
}

fn agreement(suite: Suite, numbers: Option<&Numbers>, runs: usize, stream: &mut Stream) -> Result<Agreement> {
    let (mut car, mut charger) = (Member::new("car", stream)?, Member::new("charger", stream)?);
    let (mut times, mut same, mut lengths) = ([Vec::new(), Vec::new(), Vec::new()], 0, (0, 0));
    for _ in 0..runs {
        let run = run(suite, numbers, &mut car, &mut charger, stream)?;
        times.iter_mut().zip(run.times).for_each(|(times, time)| times.push(time));
        same += usize::from(run.same);
        lengths = run.lengths;
    }
    let group = numbers.map(Numbers::lengths);
    let (form, force) = (AnswerForm::Sequences, false);
    let terms = Terms { price: PRICE, suite, carrier: Carrier::Static, form, force, group, coin: false };
    let quote = Quote::new(&Chain::regtest(), FeeRate::from_sat_per_vb_u32(1), &terms, usize::MAX)?;
    let [offer, answer, key] = times.map(least);
    let modulus = match (numbers, suite.locks_by_exponent()) {
        (Some(numbers), _) => Some(numbers.clone()),
        (None, true) => Some(groups::rfc7919(suite, stream)?),
        (None, false) => None,
    };
    let one_power = modulus.as_ref().map(|numbers| groups::one_power(numbers, runs, stream)).transpose()?;
    let bits = modulus.as_ref().map(Numbers::bits);
    let name = match (numbers, bits) {
        (Some(_), Some(bits)) => format!("{suite} of {bits} bits"),
        _ => suite.to_string(),
    };
    let offer = Step { bytes: lengths.0, vbytes: quote.offer.vbytes, time: offer };
    let answer = Step { bytes: lengths.1, vbytes: quote.answer.vbytes, time: answer };
    Ok(Agreement { name, bits, powers: None, offer, answer, key, runs, same, one_power })
}

struct Run {
    times: [Duration; 3],
    lengths: (usize, usize),
    same: bool,
}

/// Offer, answer and key, as bytes in between.
fn run(
    suite: Suite,
    numbers: Option<&Numbers>,
    car: &mut Member,
    charger: &mut Member,
    stream: &mut Stream,
) -> Result<Run> {
    let context = car.context_with(charger, Carrier::Static, stream);
    let (ours, theirs) = (car.next_secret()?, charger.next_secret()?);
    let group = numbers.map(|numbers| numbers.check(suite)).transpose()?;
    let published = (suite == Suite::FfdhPublished).then(|| Txid::from_byte_array(stream.bytes()));
    let anchor = OutPoint::new(Txid::from_byte_array(stream.bytes()), 0);
    let started = Instant::now();
    let draft = match group {
        Some(group) => Draft::in_group(context, group, published, TIMESTAMP, &ours),
        None => Draft::dated(context, suite, TIMESTAMP, &ours),
    };
    let offer = draft.offer().to_bytes();
    let offered = started.elapsed();
    let started = Instant::now();
    let received = Received::new(context, Offer::from_bytes(Carrier::Static, &offer)?, anchor).at(TIMESTAMP);
    let received = match numbers.filter(|_| published.is_some()) {
        Some(numbers) => received.with_published(numbers.clone()),
        None => received,
    };
    let (answer, theirs) = received.answer(&theirs)?;
    let answer = answer.to_bytes();
    let answered = started.elapsed();
    let started = Instant::now();
    let ours = draft.mined(anchor.txid).handle(&Answer::from_bytes(Carrier::Static, &answer)?)?;
    let agreed = started.elapsed();
    let same = ours.master_key().as_secret().expose() == theirs.master_key().as_secret().expose();
    Ok(Run { times: [offered, answered, agreed], lengths: (offer.len(), answer.len()), same })
}

/// Of the transaction that publishes a group, with one coin spent and change.
fn published_vbytes(numbers: &Numbers) -> Result<u64> {
    let outputs = published::write(numbers)?;
    let weight = outputs.iter().map(|output| output.weight()).sum::<bitcoin::Weight>();
    Ok((p2wpkh_weight(1, 1) + weight).to_vbytes_ceil())
}
