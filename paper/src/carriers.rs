//! What each carrier takes, by suite: reckoned as `keyway cost` does, and paid on a ledger.

use anyhow::{Context as _, Result, bail};
use bitcoin::{Amount, FeeRate};
use keyway_carriers::script::data::OLD_LIMIT;
use keyway_carriers::value::{Layout, MessageLen};
use keyway_chain::Chain;
use keyway_node::{Carriage, Chosen, OfferRequest, Quote, Terms};
use keyway_protocol::message::{Carrier, Offer};
use keyway_protocol::negotiation::NegotiationId;
use keyway_protocol::state::State;
use keyway_protocol::suite::{GROUP_DEPTH, Numbers, Suite};

use crate::claim::{Place, Row, Verdict};
use crate::home::{Pair, request, view};
use crate::plot::{Bars, Group, Plot};
use crate::{Figure, Options, Table, Walk, groups};

/// Feerates, in satoshi for a virtual byte.
const FEERATES: [u32; 3] = [1, 5, 20];

/// A carrier with a suite, through nodes of one kind.
struct Way {
    request: OfferRequest,
    /// Bytes of data outputs that nodes relay.
    relayed: usize,
    /// What the ledger's transactions took, those that commit to envelopes included, if it was paid.
    paid: Option<Paid>,
}

/// Virtual bytes.
#[derive(Clone, Copy, Debug)]
struct Paid {
    offer: u64,
    answer: u64,
}

impl Way {
    fn terms(&self) -> Terms {
        self.request.terms()
    }

    fn quote(&self, chain: &Chain, feerate: u32) -> Result<Quote> {
        Ok(Quote::new(chain, FeeRate::from_sat_per_vb_u32(feerate), &self.terms(), self.relayed)?)
    }

    fn is(&self, suite: Suite, carrier: Carrier) -> bool {
        (self.request.suite, self.request.carrier) == (suite, carrier)
    }

    fn name(&self, quote: &Quote) -> String {
        let OfferRequest { suite, carrier, .. } = self.request;
        let way =
            if quote.offer_commit.is_some() || quote.answer_commit.is_some() { ", envelope" } else { "" };
        format!("{carrier}, {suite}{way}")
    }

    /// Whether what was paid is what was reckoned, but for some signatures that are a byte shorter.
    fn agrees(&self) -> Result<bool> {
        let quote = self.quote(&Chain::regtest(), 1)?;
        let Some(paid) = self.paid else { return Ok(true) };
        let near = |paid: u64, reckoned: u64| paid.abs_diff(reckoned) <= 2 + reckoned / 100;
        Ok(near(paid.offer, all_of(&quote).0) && near(paid.answer, all_of(&quote).1))
    }
}

/// Offer and answer with the transactions that commit to them.
fn all_of(quote: &Quote) -> (u64, u64) {
    let commit = |costs: Option<keyway_node::Costs>| costs.map_or(0, |costs| costs.vbytes);
    (quote.offer.vbytes + commit(quote.offer_commit), quote.answer.vbytes + commit(quote.answer_commit))
}

fn fees_of(quote: &Quote) -> Amount {
    let all = [Some(quote.offer), quote.offer_commit, Some(quote.answer), quote.answer_commit];
    all.into_iter().flatten().filter_map(|costs| costs.fee).sum()
}

pub fn walk(options: Options, walk: &mut Walk) -> Result<()> {
    let mut stream = options.stream("carriers");
    let numbers = groups::rfc7919(Suite::Ffdhe2048, &mut stream)?;
    let mut pair = Pair::new(&mut stream, true)?;
    let published = publish(&mut pair, &numbers, options, walk)?;
    let mut ways = ways(options, &numbers, &published)?;
    let mut last = None;
    for way in ways.iter_mut().filter(|way| !way.request.force) {
        pair.ledger.relay_data(way.relayed)?;
        let id = pair.car.offer(&pair.ledger, &way.request)?.id;
        let agreement =
            pair.agree(id).with_context(|| format!("{} over {}", way.request.suite, way.request.carrier))?;
        if !agreement.same {
            bail!("{} over {}: two keys", way.request.suite, way.request.carrier);
        }
        let offer = agreement.car.offer.context("an offer that was mined is seen")?;
        let answer = agreement.charger.answer.context("an answer that was mined is seen")?;
        let with = |costs: keyway_node::Costs, commit: Option<keyway_node::Costs>| {
            costs.vbytes + commit.map_or(0, |commit| commit.vbytes)
        };
        way.paid =
            Some(Paid { offer: with(offer.costs, offer.commit), answer: with(answer.costs, answer.commit) });
        last = Some(id);
    }
    add_claims(options, walk, &ways, &numbers)?;
    rotation(options, walk, &mut pair, last.context("something was negotiated")?)?;
    let figure = Plot::Bars(figure(&ways)?);
    walk.figures.push(Figure { name: "carriers", table: table(&ways)?, plot: figure });
    Ok(())
}

/// What is not paid here is only reckoned: other suites in amounts, at their least price.
fn ways(options: Options, numbers: &Numbers, published: &Chosen) -> Result<Vec<Way>> {
    let way =
        |suite, carrier, relayed| Way { request: request("charger", suite, carrier), relayed, paid: None };
    let custom = Chosen { numbers: numbers.clone(), published: None };
    let grouped = |suite, group: &Chosen, relayed| {
        let mut way = way(suite, Carrier::Static, relayed);
        way.request.group = Some(group.clone());
        way
    };
    const LARGE: usize = 100_000;
    let mut ways = vec![
        way(Suite::X25519, Carrier::Value, LARGE),
        way(Suite::X25519, Carrier::Static, LARGE),
        way(Suite::X25519MlKem768, Carrier::Static, LARGE),
        grouped(Suite::FfdhCustom, &custom, LARGE),
        grouped(Suite::FfdhPublished, published, LARGE),
        way(Suite::X25519MlKem768, Carrier::Static, OLD_LIMIT),
        way(Suite::X25519, Carrier::Dynamic, LARGE),
        way(Suite::Ffdhe2048, Carrier::Dynamic, LARGE),
    ];
    if !options.quick {
        ways.extend(Suite::FFDHE.map(|suite| way(suite, Carrier::Static, LARGE)));
        ways.extend([
            grouped(Suite::FfdhCustom, &custom, OLD_LIMIT),
            way(Suite::X25519MlKem768, Carrier::Dynamic, LARGE),
            way(Suite::X25519MlKem768, Carrier::Dynamic, OLD_LIMIT),
            way(Suite::Ffdhe3072, Carrier::Dynamic, LARGE),
            way(Suite::Ffdhe4096, Carrier::Dynamic, LARGE),
        ]);
    }
    for suite in [Suite::Ffdhe2048, Suite::X25519MlKem768] {
        let mut way = way(suite, Carrier::Value, LARGE);
        let len = MessageLen::new(Offer::len_of(suite, Carrier::Value))?;
        // The dearer chain's, so that one price does for both.
        let least = |chain: Chain| Layout::least(&chain, len).worst_case();
        way.request.price = least(Chain::named("bitcoin")?).max(least(Chain::named("litecoin")?));
        way.request.force = true;
        ways.push(way);
    }
    ways.sort_by_key(|way| {
        let OfferRequest { carrier, suite, force, .. } = way.request;
        (carrier.number(), force, suite.number(), std::cmp::Reverse(way.relayed))
    });
    Ok(ways)
}

/// Algorithm 1 on the ledger.
fn publish(pair: &mut Pair, numbers: &Numbers, options: Options, walk: &mut Walk) -> Result<Chosen> {
    let sent = pair.charger.publish(&pair.ledger, numbers)?;
    pair.mine(1)?;
    let young = pair.car.published_group(&sent.txid.to_string()).is_err();
    pair.mine(GROUP_DEPTH - 1)?;
    let seen = pair.car.published_groups();
    let found = seen.iter().any(|group| group.txid == sent.txid && group.publisher == pair.charger.key());
    let row = Row {
        claim: "p and g are on the chain for whoever reads it",
        command: "keyway params publish; ./x test algorithm_1_3_and_5_a_group_that_was_published_leads_both_sides_to_one_key",
        result: format!(
            "on a ledger: the other party found the group and its publisher: {found}; it was not named before it lay \
             {GROUP_DEPTH} blocks deep: {young}"
        ),
        time: String::new(),
        verdict: Verdict::Changed("a reorganisation must not exchange the group under an offer".to_owned())
            .if_shown(found && young),
    };
    walk.add(options, Place::Algorithm(1), row);
    Ok(pair.car.published_group(&sent.txid.to_string())?)
}

/// A key is replaced by one from fresh shares.
fn rotation(options: Options, walk: &mut Walk, pair: &mut Pair, first: NegotiationId) -> Result<()> {
    let request = pair.car.same_again("charger", None)?;
    let id = pair.car.offer(&pair.ledger, &request)?.id;
    let second = pair.agree(id)?;
    let old = view(&pair.car, first)?;
    let other = old.fingerprint.is_some() && old.fingerprint != second.car.fingerprint;
    let row = Row {
        claim: "keys expire and are replaced; an old one that leaked says nothing of the new one",
        command: "./x test a_rotation_keeps_the_group_and_nothing_else",
        result: format!(
            "on a ledger: the first key is {}, the second {} and another: {other}",
            old.state, second.car.state
        ),
        time: String::new(),
        verdict: Verdict::Changed(
            "named and not given in the paper; rotation by age, blocks or volume".to_owned(),
        )
        .if_shown(other && second.same && old.state == State::Superseded),
    };
    walk.add(options, Place::Section(3, 2, 4), row);
    later(options, walk, pair)
}

/// The paper's examples: a key that was agreed in a payment is used at an appointed time.
fn later(options: Options, walk: &mut Walk, pair: &mut Pair) -> Result<()> {
    const BLOCKS: u32 = 144;
    let agreed = pair.car.tip().height;
    pair.mine(BLOCKS)?;
    let (asked, told): (&[u8], &[u8]) = (b"unlock", b"unlocked");
    let request = pair.car.seal("charger", asked, b"")?;
    let opened = pair.charger.open_sealed(&request.sealed, b"", false)?.plaintext[..] == *asked;
    let reply = pair.charger.seal("car", told, b"")?;
    let answered = pair.car.open_sealed(&reply.sealed, b"", false)?.plaintext[..] == *told;
    let traced = pair.car.trace(Some(pair.charger.key()))?.len();
    let row = Row {
        claim: "at the appointed time both find mk on the chain, make sk from the newest block, and deal with each other",
        command: "./x demo; keyway trace; ./x test a_stranger_with_two_cards_sees_what_the_parties_did_and_not_what_they_know",
        result: format!(
            "on a ledger: {BLOCKS} blocks after block {agreed} the charger opened what the car sealed: {opened}; the car \
             the reply: {answered}; the chain lists {traced} negotiations of the two, with their blocks"
        ),
        time: String::new(),
        verdict: Verdict::Changed(
            "mk is not on the chain, but who agreed on it, and when; each home keeps its own".to_owned(),
        )
        .if_shown(opened && answered && traced > 1),
    };
    walk.add(options, Place::Section(4, 5, 0), row);
    Ok(())
}

fn add_claims(options: Options, walk: &mut Walk, ways: &[Way], numbers: &Numbers) -> Result<()> {
    let mut add = |place, claim, command, suite, carrier, verdict: Verdict| -> Result<()> {
        let way = ways.iter().find(|way| way.is(suite, carrier)).context("every carrier was walked")?;
        let quote = way.quote(&Chain::regtest(), 1)?;
        let (paid, (offer, answer)) = (way.paid.context("it was paid")?, all_of(&quote));
        let result = format!(
            "on a ledger, {suite} over {carrier}: one key, {} and {} vB; reckoned: {offer} and {answer}, {}",
            paid.offer,
            paid.answer,
            carriage(quote.carriage),
        );
        let verdict = verdict.if_shown(way.agrees()?);
        walk.add(options, place, Row { claim, command, result, time: String::new(), verdict });
        Ok(())
    };
    let changed = |why: &str| Verdict::Changed(why.to_owned());
    add(
        Place::Section(4, 1, 2),
        "key material rides in currency values",
        "keyway cost --pay 250000sat; ./x test a_price_of_250000_satoshi_carries_an_offer_in_26_outputs_of_13_bits",
        Suite::X25519,
        Carrier::Value,
        changed(
            "a share of 32 bytes in many amounts, each over the dust limit; collecting them carries the answer",
        ),
    )?;
    add(
        Place::Section(4, 2, 1),
        "messageA and messageB, encrypted, ride in a second output of value zero",
        "./x test every_suite_agrees_beside_one_coin_of_exactly_the_price",
        Suite::FfdhCustom,
        Carrier::Static,
        changed(
            "the paper's layout, sealed by HPKE, in an OP_RETURN: a ciphertext alone is no script that nodes relay",
        ),
    )?;
    add(
        Place::Section(4, 3, 2),
        "OP_Exponent locks a payment that only the negotiation opens",
        "./x test every_group_agrees_and_the_charger_is_paid_for_its_answer; docs/OP_EXPONENT.md",
        Suite::Ffdhe2048,
        Carrier::Dynamic,
        changed("on a number made for the lock; where the opcode is enforced, for it needs a soft fork"),
    )?;
    for place in [Place::Algorithm(3), Place::Algorithm(4)] {
        let (claim, suite) = match place {
            Place::Algorithm(3) => ("in a published group, on a ledger", Suite::FfdhPublished),
            _ => ("in a group of the offer's own, on a ledger", Suite::FfdhCustom),
        };
        let why = format!("a checked group of {} bits", numbers.bits());
        add(
            place,
            claim,
            "./x test algorithm_4_two_parties_agree_in_a_group_that_the_offer_brings",
            suite,
            Carrier::Static,
            Verdict::Changed(why),
        )?;
    }
    Ok(())
}

fn carriage(carriage: Carriage) -> String {
    match carriage {
        Carriage::Coins { coins, bits } => format!("{coins} coins of {bits} bits"),
        Carriage::Sealed { bytes, .. } => format!("an offer of {bytes} bytes, sealed"),
        Carriage::Locked { bytes, .. } => format!("an offer of {bytes} bytes beside a locked payment"),
    }
}

const COLUMNS: [&str; 16] = [
    "chain",
    "carrier",
    "suite",
    "needs_op_exponent",
    "relayed_data_bytes",
    "price_sat",
    "coins",
    "offer_bytes",
    "offer_vbytes",
    "answer_vbytes",
    "fees_sat_at_1",
    "fees_sat_at_5",
    "fees_sat_at_20",
    "ledger_offer_vbytes",
    "ledger_answer_vbytes",
    "ledger_agrees",
];

/// Both families of chains; the ledger is Bitcoin's regtest, where everything weighs as on the main network.
fn table(ways: &[Way]) -> Result<Table> {
    let mut table = Table::new(&COLUMNS);
    for name in ["bitcoin", "litecoin"] {
        let chain = Chain::named(name)?;
        for way in ways {
            let quote = way.quote(&chain, 1)?;
            let (coins, bytes) = match quote.carriage {
                Carriage::Coins { coins, .. } => (coins, Offer::len_of(way.request.suite, Carrier::Value)),
                Carriage::Sealed { bytes, .. } | Carriage::Locked { bytes, .. } => (1, bytes),
            };
            let (offer, answer) = all_of(&quote);
            let paid = way.paid.filter(|_| name == "bitcoin");
            let OfferRequest { carrier, suite, price, .. } = way.request;
            let fees = |feerate| match way.quote(&chain, feerate) {
                Ok(quote) => fees_of(&quote).to_sat().to_string(),
                // More than the price.
                Err(_) => String::new(),
            };
            let [at_1, at_5, at_20] = FEERATES.map(fees);
            let ledger =
                |vbytes: fn(Paid) -> u64| paid.map_or(String::new(), |paid| vbytes(paid).to_string());
            table.push([
                name.to_owned(),
                carrier.to_string(),
                suite.to_string(),
                (carrier == Carrier::Dynamic && suite.locks_by_exponent()).to_string(),
                way.relayed.to_string(),
                price.to_sat().to_string(),
                coins.to_string(),
                bytes.to_string(),
                offer.to_string(),
                answer.to_string(),
                at_1,
                at_5,
                at_20,
                ledger(|paid| paid.offer),
                ledger(|paid| paid.answer),
                if paid.is_some() { way.agrees()?.to_string() } else { String::new() },
            ]);
        }
    }
    Ok(table)
}

/// Those that were paid.
fn figure(ways: &[Way]) -> Result<Bars> {
    let shown: Vec<&Way> = ways.iter().filter(|way| way.paid.is_some()).collect();
    let names = shown
        .iter()
        .map(|way| Ok(way.name(&way.quote(&Chain::regtest(), 1)?)))
        .collect::<Result<Vec<_>>>()?;
    let values =
        |of: fn(Paid) -> u64| shown.iter().map(move |way| way.paid.map(|paid| of(paid) as f64)).collect();
    Ok(Bars {
        title: "A negotiation's transactions on the ledger".to_owned(),
        x: "size with what commits to envelopes (vB); as many satoshi at 1 sat/vB".to_owned(),
        log: false,
        names,
        groups: vec![
            Group { name: "offer".to_owned(), values: values(|paid| paid.offer) },
            Group { name: "answer".to_owned(), values: values(|paid| paid.answer) },
        ],
    })
}
