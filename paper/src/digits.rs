//! The paper's value channel to the letter: eight digits, as amounts (4.1, Algorithms 2, 4 and 5, Propositions 4 and 6).

use std::time::Instant;

use anyhow::{Context as _, Result};
use keyway_carriers::paper::{is_prime, logarithm, power};
use keyway_carriers::value::p2wpkh_weight;
use keyway_chain::Chain;
use keyway_node::{KnownToBeBroken, Party, Study, studies_between};

use crate::claim::{Place, Row, Verdict};
use crate::home::Pair;
use crate::literal::Literal;
use crate::statistics::{ARTIN, Mean, in_words};
use crate::{Options, Walk};

pub fn walk(options: Options, walk: &mut Walk) -> Result<()> {
    let mut stream = options.stream("eight digits");
    let count = options.samples(2_000, 200);
    let literals: Vec<Literal> = (0..count).map(|_| Literal::new(&mut stream)).collect();
    parameters(options, walk, &literals);
    keys(options, walk, &literals);
    roots(options, walk);
    random_roots(options, walk, &literals);
    on_a_ledger(options, walk)
}

fn parameters(options: Options, walk: &mut Walk, literals: &[Literal]) {
    let mean = |number: fn(&Literal) -> f64| Mean::of(&literals.iter().map(number).collect::<Vec<_>>());
    let primes = mean(|it| f64::from(it.draws.primes));
    let bits = literals.iter().map(|it| u64::BITS - it.offer.prime.leading_zeros());
    let (least, most) = (bits.clone().min().unwrap_or(0), bits.max().unwrap_or(0));
    let again = literals.iter().filter(|it| it.draws.shares > 1).count();
    let row = Row {
        claim: "the initiator draws p, g and a, and writes code(p, g, A) of eight digits each",
        command: "./x test algorithm_2_4_and_5_eight_digits_lead_both_homes_to_one_key_and_the_chain_alone_gives_it_away",
        result: format!(
            "{} times: {:.1} draws for a prime, {:.2} exponentiations for both shares; the primes have {least} to {most} \
             bits; g or A was dust in {again}, and drawn again",
            literals.len(),
            primes.mean,
            mean(|it| it.powers.iter().sum::<u64>() as f64).mean,
        ),
        time: String::new(),
        verdict: Verdict::Changed(
            "it runs; but eight digits hold no group, and what is dust must be drawn again. A group of one's own must be a \
             safe prime of 2,048 bits or more (suite ffdh-custom)"
                .to_owned(),
        )
        .if_shown(most <= 27),
    };
    walk.add(options, Place::Algorithm(2), row);
}

fn keys(options: Options, walk: &mut Walk, literals: &[Literal]) {
    let started = Instant::now();
    let same = literals.iter().map(Literal::keys).filter(|[ours, theirs]| ours == theirs).count();
    let time = in_words(started.elapsed() / literals.len().max(1) as u32);
    let row = |claim| Row {
        claim,
        command: "./x test algorithm_4_and_5_by_hand_eight_digits_give_two_homes_a_key_and_whoever_reads_the_chain_too",
        result: format!(
            "in eight digits: one key on both sides in {same} of {} negotiations",
            literals.len()
        ),
        time: format!("{time} for both sides"),
        verdict: Verdict::Holds("B^a = A^b, whatever p, g, a and b are".to_owned())
            .if_shown(same == literals.len()),
    };
    walk.add(options, Place::Algorithm(5), row("mk = A^b mod p = B^a mod p"));
    walk.add(options, Place::Proposition(6), row("both sides get the same mk"));
}

/// Whether g generates all numbers modulo p, by the prime factors of p − 1.
fn is_primitive_root(g: u64, p: u64) -> bool {
    let mut rest = p - 1;
    for factor in 2.. {
        if factor * factor > rest {
            break;
        }
        if rest.is_multiple_of(factor) {
            if power(g, (p - 1) / factor, p) == 1 {
                return false;
            }
            while rest.is_multiple_of(factor) {
                rest /= factor;
            }
        }
    }
    !g.is_multiple_of(p) && (rest == 1 || power(g, (p - 1) / rest, p) != 1)
}

/// Proposition 4 says what a primitive root is; all small primes show it.
fn roots(options: Options, walk: &mut Walk) {
    let most = options.samples(1_000, 200) as u64;
    let (mut pairs, mut roots, mut differ) = (0, 0, 0);
    for p in (3..most).filter(|&p| is_prime(p)) {
        for g in 1..p {
            let mut seen = vec![false; p as usize];
            let mut value = 1;
            let mut distinct = 0;
            for _ in 1..p {
                value = value * g % p;
                let first = seen.get_mut(value as usize).map(|seen| !std::mem::replace(seen, true));
                distinct += u64::from(first.unwrap_or(false));
            }
            let by_factors = is_primitive_root(g, p);
            pairs += 1;
            roots += u64::from(by_factors);
            differ += u64::from(by_factors != (distinct == p - 1));
        }
    }
    let row = Row {
        claim: "if g^i and g^j differ modulo p for all i and j from 1 to p - 1 that differ, g is a primitive root of p",
        command: "",
        result: format!(
            "all {pairs} pairs of a prime p below {most} and a g below it: {roots} with powers that all differ, which \
             are those whose order is p - 1 by the factors of p - 1, with {differ} exceptions"
        ),
        time: String::new(),
        verdict: Verdict::Holds("it is the definition".to_owned()).if_shown(differ == 0 && roots > 0),
    };
    walk.add(options, Place::Proposition(4), row);
}

/// The algorithms do not look for one: g is any number below p.
fn random_roots(options: Options, walk: &mut Walk, literals: &[Literal]) {
    let samples: Vec<f64> = literals
        .iter()
        .map(|it| f64::from(u8::from(is_primitive_root(it.offer.generator, it.offer.prime))))
        .collect();
    let share = Mean::of(&samples);
    let (low, high) = share.interval();
    let row = Row {
        claim: "g is a primitive root of p (Algorithms 1, 2 and 4 draw any number below p)",
        command: "./x test every_weak_group_is_refused_by_name_before_a_secret_meets_it",
        result: format!(
            "of {} that the algorithms drew {:.1} % are (95 %: {:.1} to {:.1}; Artin's constant: {:.1})",
            literals.len(),
            100.0 * share.mean,
            100.0 * low,
            100.0 * high,
            100.0 * ARTIN,
        ),
        time: String::new(),
        verdict: Verdict::Fails(
            "nothing in the algorithms makes it one, and a primitive root is not wanted either: its shares tell whether \
             their exponents are even. Keyway takes a generator of the squares modulo a safe prime, and checks it"
                .to_owned(),
        )
        .if_shown(share.agrees_with(ARTIN, (ARTIN * (1.0 - ARTIN)).sqrt(), samples.len())),
    };
    walk.add(options, Place::Proposition(4), row);
}

fn study(party: &Party) -> Result<Study> {
    party.studies()?.into_iter().next().context("nothing of the study was found on the ledger")
}

/// Two homes agree by it on a real ledger, and a third reads the key off the chain.
fn on_a_ledger(options: Options, walk: &mut Walk) -> Result<()> {
    let mut pair = Pair::new(&mut options.stream("study"), false)?;
    let knowingly = || KnownToBeBroken::on(&Chain::regtest(), true);
    let before = pair.car.tip();
    let offer = pair.car.study_offer(&pair.ledger, "charger", 8, knowingly()?)?;
    pair.mine(1)?;
    let answer = pair.charger.study_answer(&pair.ledger, &offer.txid.to_string(), knowingly()?)?;
    pair.mine(1)?;
    let (ours, theirs) = (study(&pair.car)?, study(&pair.charger)?);
    let parties = [pair.car.key(), pair.charger.key()];
    let seen = studies_between(&pair.ledger, before, parties, &mut |_| ())?;
    let started = Instant::now();
    let stolen = seen.iter().find_map(|seen| {
        let a = logarithm(seen.offer.generator, seen.offer.share, seen.offer.prime)?;
        seen.answer.map(|(_, _, share)| seen.offer.master_key(a, share))
    });
    let time = started.elapsed();
    let (same, read) = (ours.key.is_some() && ours.key == theirs.key, stolen.is_some() && stolen == ours.key);
    let transactions = pair.mined_since(before)?.len();
    // A signature is now and then a byte shorter, so that sizes told are the reckoned ones.
    let reckoned = [4, 2].map(|outputs| p2wpkh_weight(1, outputs).to_vbytes_ceil());
    let close =
        [offer.costs.vbytes, answer.costs.vbytes].iter().zip(reckoned).all(|(a, b)| a.abs_diff(b) <= 1);
    let [paying, answering] = reckoned;
    let result = format!(
        "on a ledger of Bitcoin Core's validation: {transactions} transactions of {paying} and {answering} vB, three \
         amounts and one; one key on both sides: {same}; the key read off the chain by whoever has two cards: {read}"
    );
    let row = |claim| {
        Row {
        claim,
        command: "keyway lab offer, answer and break (README); \
                  ./x test a_third_home_with_two_cards_and_the_chain_has_the_key",
        result: result.clone(),
        time: format!("{} for the logarithm", in_words(time)),
        verdict: Verdict::Changed(
            "eight digits are for study alone; a share of 32 bytes rides in as many amounts as the price allows (carrier \
             value)"
                .to_owned(),
        )
        .if_shown(same && read && close && transactions == 2),
    }
    };
    walk.add(
        options,
        Place::Section(4, 1, 0),
        row("A, g, p and B ride in amounts, and only the two have mk"),
    );
    walk.add(options, Place::Algorithm(4), row("the initiator makes p and g, both post their shares"));
    Ok(())
}
