//! What is told of the costs: rows, table, figure.

use std::time::Duration;

use keyway_protocol::suite::expected_draws;

use super::{Agreement, Made, Step};
use crate::claim::{Place, Row, Verdict};
use crate::plot::{Bars, Group};
use crate::statistics::{in_words, three_digits};
use crate::{Options, Table, Walk};

const COLUMNS: [&str; 10] = [
    "group",
    "bits",
    "step",
    "algorithms",
    "exponentiations_counted",
    "message_bytes",
    "transactions",
    "vbytes_static",
    "time_us",
    "time_in_exponentiations",
];

pub fn table(all: &[Agreement], published: u64) -> Table {
    let mut table = Table::new(&COLUMNS);
    let row =
        ["ffdh-published of 2048 bits", "2048", "publishing the group", "1", "", "", "1"].map(str::to_owned);
    table.push(row.into_iter().chain([published.to_string(), String::new(), String::new()]));
    for agreement in all {
        let Agreement { offer, answer, .. } = agreement;
        let key = Step { time: agreement.key, ..Step::default() };
        let steps = [
            ("offer: the initiator's share", "2, 3, 4", offer),
            ("answer: the responder's share and key", "3, 4, 5", answer),
            ("key: the initiator's", "5", &key),
        ];
        for (place, (step, algorithms, Step { bytes, vbytes, time })) in steps.into_iter().enumerate() {
            let powers = agreement.powers.and_then(|powers| powers.get(place).copied());
            let ratio = agreement.one_power.map(|one| time.as_secs_f64() / one.as_secs_f64().max(1e-9));
            let transactions = u8::from(*vbytes > 0);
            let or_nothing = |number: u64| if number == 0 { String::new() } else { number.to_string() };
            table.push([
                agreement.name.clone(),
                agreement.bits.map_or(String::new(), |bits| bits.to_string()),
                step.to_owned(),
                algorithms.to_owned(),
                powers.map_or(String::new(), |powers| format!("{powers:.3}")),
                or_nothing(*bytes as u64),
                transactions.to_string(),
                or_nothing(*vbytes),
                format!("{:.1}", time.as_secs_f64() * 1e6),
                ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            ]);
        }
    }
    table
}

fn told(all: &[Agreement], begins: &str) -> (String, String, bool) {
    let of: Vec<&Agreement> = all.iter().filter(|it| it.name.starts_with(begins)).collect();
    let result = of.iter().map(|it| {
        let Agreement { name, offer, answer, same, runs, .. } = it;
        let (a, b) = (offer.bytes, answer.bytes);
        format!(
            "{name}: messages of {a} and {b} bytes, {} and {} vB, one key in {same} of {runs}",
            offer.vbytes, answer.vbytes
        )
    });
    let time = of.iter().map(|it| {
        let sum = it.offer.time + it.answer.time + it.key;
        let powers = it.one_power.map_or(String::new(), |one| {
            format!(
                " ({} exponentiations' time)",
                three_digits(sum.as_secs_f64() / one.as_secs_f64().max(1e-9))
            )
        });
        format!("{}: {} both sides{powers}", it.name, in_words(sum))
    });
    let joined = |parts: Vec<String>| parts.join("; ");
    (
        joined(result.collect()),
        joined(time.collect()),
        of.iter().all(|it| it.same == it.runs) && !of.is_empty(),
    )
}

pub fn add_claims(
    options: Options,
    walk: &mut Walk,
    all: &[Agreement],
    checks: &[(u32, Duration)],
    published: u64,
) {
    let check = checks.iter().map(|(bits, time)| format!("{bits} bits: {}", in_words(*time)));
    let check = format!("the receiver's check of the group, once: {}", check.collect::<Vec<_>>().join(", "));
    let (custom, custom_time, custom_shown) = told(all, "ffdh-custom");
    let (named, named_time, named_shown) = told(all, "ffdh-published");
    let checked = "p must be a safe prime of 2,048 to 4,096 bits and g generate its squares, checked before a secret meets \
                   them; the exponents have 512 bits";
    let row = |claim, command, result: &str, time: &str, why: String, shown| Row {
        claim,
        command,
        result: result.to_owned(),
        time: time.to_owned(),
        verdict: Verdict::Changed(why).if_shown(shown),
    };
    let custom_row = |claim, command| {
        row(
            claim,
            command,
            &custom,
            &format!("{custom_time}; {check}"),
            format!("suite ffdh-custom: {checked}"),
            custom_shown,
        )
    };
    walk.add(
        options,
        Place::Algorithm(2),
        custom_row(
            "the initiator draws p, g and a, and posts code(p, g, A)",
            "./x test algorithm_2_and_5_an_offer_brings_its_group_and_both_sides_reach_one_key",
        ),
    );
    walk.add(
        options,
        Place::Algorithm(4),
        custom_row(
            "the offer brings p, g and A; the receiver answers with B",
            "./x test algorithm_2_and_4_by_hand_a_group_from_a_file_leads_to_one_key",
        ),
    );
    let publishing = format!("a group of 2048 bits: one transaction of {published} vB, for everybody");
    let why = format!("suite ffdh-published: {checked}; it lies six blocks below the offer that names it");
    walk.add(
        options,
        Place::Algorithm(1),
        row(
            "every T seconds p and g are posted: code(p, g)",
            "keyway params publish; ./x test algorithm_1_and_3_by_hand_a_published_group_is_found_named_and_used",
            &publishing,
            "",
            why.clone(),
            named_shown,
        ),
    );
    walk.add(
        options,
        Place::Algorithm(3),
        row(
            "both read p and g from the chain, the initiator posts A, the receiver B",
            "./x test algorithm_3_and_5_published_numbers_lead_both_sides_to_one_key",
            &named,
            &named_time,
            why,
            named_shown,
        ),
    );
    let (every, every_time, every_shown) = told(all, "");
    for place in [Place::Algorithm(5), Place::Proposition(6)] {
        let row = Row {
            claim: "both sides have the same mk, in every suite",
            command: "./x bench negotiation; ./x test both_sides_reach_the_same_keys_fingerprint_and_tags_in_both_forms",
            result: every.clone(),
            time: every_time.clone(),
            verdict: Verdict::Holds(
                "and each side shows the other that it has it (PROTOCOL.md 8)".to_owned(),
            )
            .if_shown(every_shown),
        };
        walk.add(options, place, row);
    }
}

pub fn add_made(options: Options, walk: &mut Walk, made: &Made) {
    let expected = expected_draws(made.numbers.bits());
    for place in [Place::Algorithm(1), Place::Algorithm(2)] {
        let row = Row {
            claim: "p is drawn until it is prime",
            command: "keyway params generate",
            result: format!(
                "a safe prime of {} bits: {} candidates that no prime below 17,863 divides were tested, some {expected} \
                 are expected; the group made of it was found sound and used",
                made.numbers.bits(),
                made.tested,
            ),
            time: in_words(made.time),
            verdict: Verdict::Changed("a safe prime, sieved before it is tested; once, and kept".to_owned())
                .if_shown(made.tested > 0),
        };
        walk.add(options, place, row);
    }
}

pub fn figure(all: &[Agreement]) -> Bars {
    let values =
        |of: fn(&Agreement) -> Duration| all.iter().map(move |it| Some(of(it).as_secs_f64() * 1e6)).collect();
    Bars {
        title: "Time of the algorithms' steps, by group".to_owned(),
        x: "time of this run, the shortest of its repetitions (µs)".to_owned(),
        log: true,
        names: all.iter().map(|it| it.name.clone()).collect(),
        groups: vec![
            Group {
                name: "offer: p, g, A (Algorithms 2 to 4)".to_owned(),
                values: values(|it| it.offer.time),
            },
            Group {
                name: "answer: B and mk (Algorithms 3 to 5)".to_owned(),
                values: values(|it| it.answer.time),
            },
            Group { name: "key: mk of the initiator (Algorithm 5)".to_owned(), values: values(|it| it.key) },
        ],
    }
}
