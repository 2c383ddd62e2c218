//! Everybody with everybody: C(n, 2) keys (4.4, Proposition 9).

use std::collections::HashSet;

use anyhow::{Context as _, Result, anyhow, ensure};
use bip39::Mnemonic;
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use keyway_chain::{Chain, Height};
use keyway_protocol::card::{Card, Permanent, Renewable};
use keyway_protocol::identity::{IdentitySecret, NegotiationSecret, SecretChain, Seed};
use keyway_protocol::introduction::Introduction;
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received};
use keyway_protocol::suite::Suite;

use crate::claim::{Place, Row, Verdict};
use crate::fleet::{self, OnLedger};
use crate::plot::{Lines, Plot, Series, Style};
use crate::random::Stream;
use crate::{Figure, Options, Table, Walk};

/// Parties, at most.
const MOST: usize = 20;
/// The last height of cards and introductions.
const EXPIRY: Height = Height::new(100_000);

/// A party, as far as it negotiates in memory.
pub struct Member {
    identity: IdentitySecret,
    secrets: Option<SecretChain>,
    pub permanent: Permanent,
}

impl Member {
    /// Of a mnemonic drawn from the stream.
    pub fn new(name: &str, stream: &mut Stream) -> Result<Self> {
        let chain = Chain::regtest();
        let mnemonic = Mnemonic::from_entropy(&stream.bytes::<16>())?;
        let Seed { identity, sealing, chain_head, .. } = Seed::derive(&mnemonic, &chain)?;
        let name = name.parse().map_err(|error| anyhow!("{error}"))?;
        let permanent = Permanent::of(name, &chain, &identity, &sealing);
        Ok(Self { identity, secrets: Some(chain_head), permanent })
    }

    /// The next negotiation's.
    pub fn next_secret(&mut self) -> Result<NegotiationSecret> {
        let (secret, rest) = self.secrets.take().context("a chain of secrets has no end")?.take();
        self.secrets = Some(rest);
        Ok(secret)
    }

    /// Of a negotiation that this one begins, with a coin of the stream's.
    pub fn context_with(&self, responder: &Member, carrier: Carrier, stream: &mut Stream) -> Context {
        let input0 = OutPoint::new(Txid::from_byte_array(stream.bytes()), 0);
        let (initiator, responder) = (self.permanent.party_ref(), responder.permanent.party_ref());
        Context { initiator, responder, input0, carrier }
    }

    /// What it gives to others: one line of text.
    fn card(&self) -> Result<String> {
        let numbers = |suites: &[Suite]| suites.iter().map(|suite| suite.number()).collect();
        let renewable = Renewable {
            serial: 1,
            expiry: EXPIRY,
            suites: numbers(&Suite::USUAL),
            carriers: Carrier::ALL.map(Carrier::number).to_vec(),
            prekeys: Vec::new(),
        };
        Ok(Card::sign(self.permanent.clone(), renewable, &self.identity)?.to_string())
    }
}

/// One negotiation over amounts, as bytes in between; both sides' keys.
pub fn negotiate(
    initiator: &mut Member,
    responder: &mut Member,
    suite: Suite,
    stream: &mut Stream,
) -> Result<[Agreed; 2]> {
    let context = initiator.context_with(responder, Carrier::Value, stream);
    let (ours, theirs) = (initiator.next_secret()?, responder.next_secret()?);
    let draft = Draft::new(context, suite, AnswerForm::Sequences, &ours);
    let offer = Offer::from_bytes(Carrier::Value, &draft.offer().to_bytes())?;
    let anchor = OutPoint::new(Txid::from_byte_array(stream.bytes()), 0);
    let (answer, theirs) = Received::new(context, offer, anchor).answer(&theirs)?;
    let answer = Answer::from_bytes(Carrier::Value, &answer.to_bytes())?;
    Ok([draft.mined(anchor.txid).handle(&answer)?, theirs])
}

/// n parties, counted.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    parties: usize,
    negotiations: usize,
    same: usize,
    distinct: usize,
    cards_by_hand: usize,
    cards_of_operator: usize,
    introductions: usize,
}

/// Each newcomer negotiates with all who were there.
fn in_memory(most: usize, stream: &mut Stream) -> Result<Vec<Count>> {
    let operator = Member::new("operator", stream)?;
    let mut members: Vec<Member> = Vec::new();
    let (mut keys, mut count, mut counts) = (HashSet::new(), Count::default(), Vec::new());
    for n in 1..=most {
        let mut newcomer = Member::new(&format!("vehicle-{n}"), stream)?;
        for member in &mut members {
            // Each reads the other's line.
            for card in [newcomer.card()?, member.card()?] {
                let _: Card = card.parse()?;
                count.cards_by_hand += 1;
            }
            let [ours, theirs] = negotiate(&mut newcomer, member, Suite::X25519, stream)?;
            let [ours, theirs] = [ours, theirs].map(|side| *side.master_key().as_secret().expose());
            count.negotiations += 1;
            count.same += usize::from(ours == theirs);
            keys.insert(ours);
        }
        let _: Card = operator.card()?.parse()?;
        count.cards_of_operator += 1;
        let word = Introduction::sign(&newcomer.permanent, 1, EXPIRY, &operator.identity).to_string();
        let word: Introduction = word.parse()?;
        ensure!(word.introducer() == operator.identity.party(), "somebody else introduced");
        count.introductions += 1;
        members.push(newcomer);
        counts.push(Count { parties: n, distinct: keys.len(), ..count });
    }
    Ok(counts.split_off(1))
}

const COLUMNS: [&str; 12] = [
    "parties",
    "pairs",
    "negotiations",
    "same_on_both_sides",
    "distinct_keys",
    "cards_by_hand",
    "cards_of_operator",
    "introductions",
    "ledger_keys",
    "ledger_transactions",
    "ledger_vbytes",
    "ledger_fees_sat_at_1",
];

/// C(n, 2), by counting pairs.
fn pairs_of(n: usize) -> usize {
    (0..n).map(|one| (one + 1..n).count()).sum()
}

pub fn walk(options: Options, walk: &mut Walk, tell: &mut dyn FnMut(&str)) -> Result<()> {
    let counts = in_memory(MOST, &mut options.stream("pairs in memory"))?;
    let on_ledger = fleet::walk(options.samples(MOST, 4), &mut options.stream("pairs on a ledger"), tell)?;
    let mut table = Table::new(&COLUMNS);
    for count in &counts {
        let ledger = on_ledger.iter().find(|it| it.parties == count.parties);
        let told = |number: fn(&OnLedger) -> u64| ledger.map_or(String::new(), |it| number(it).to_string());
        let Count { parties, negotiations, same, distinct, cards_by_hand, cards_of_operator, introductions } =
            *count;
        let counted = [negotiations, same, distinct, cards_by_hand, cards_of_operator, introductions];
        let chain = [
            told(|it| it.keys as u64),
            told(|it| it.transactions as u64),
            told(|it| it.vbytes),
            told(|it| it.fees),
        ];
        let head = [parties, pairs_of(parties)].into_iter().chain(counted).map(|number| number.to_string());
        table.push(head.chain(chain));
    }
    add_claims(options, walk, &counts, &on_ledger);
    walk.figures.push(Figure { name: "pairs", table, plot: Plot::Lines(figure(&counts)) });
    Ok(())
}

fn add_claims(options: Options, walk: &mut Walk, counts: &[Count], on_ledger: &[OnLedger]) {
    let all = counts.iter().all(|it| {
        [it.negotiations, it.same, it.distinct].iter().all(|number| *number == pairs_of(it.parties))
    });
    let Some((last, ledger)) = counts.last().zip(on_ledger.last()) else { return };
    let chain = on_ledger.iter().all(|it| it.keys == pairs_of(it.parties) && it.transactions == 2 * it.keys);
    let result = format!(
        "n = 2 to {}: C(n, 2) negotiations, as many distinct keys, each the same on both sides; {} parties: {} keys, after \
         {} cards taken by hand, or {} introductions. On a ledger, {} parties: {} keys in {} transactions of {} vB \
         together, fees of {} sat at 1 sat/vB",
        last.parties,
        last.parties,
        last.distinct,
        last.cards_by_hand,
        last.introductions,
        ledger.parties,
        ledger.keys,
        ledger.transactions,
        ledger.vbytes,
        ledger.fees,
    );
    let verdict = Verdict::Holds(
        "as many master keys as pairs, for as long as none is replaced; who knows whom takes n introductions and not \
         n(n - 1) cards"
            .to_owned(),
    )
    .if_shown(all && chain);
    let row = |claim| Row {
        claim,
        command: "",
        result: result.clone(),
        time: String::new(),
        verdict: verdict.clone(),
    };
    walk.add(options, Place::Section(4, 4, 2), row("keys are made on the chain C(n, 2) times only"));
    walk.add(options, Place::Section(3, 2, 2), row("different parties use different keys"));
    let each = |number: u64| number / (ledger.keys as u64).max(1);
    let row = Row {
        claim: "the overhead of time and space is low: C(n, 2) negotiations, and sk without a message",
        command: "keyway cost --pay 250000sat; ./x bench negotiation",
        result: format!(
            "{} parties on a ledger: {} vB and {} sat a key at 1 sat/vB over the value carrier (others: carriers.csv); none \
             for session keys",
            ledger.parties,
            each(ledger.vbytes),
            each(ledger.fees),
        ),
        time: String::new(),
        verdict: Verdict::Changed(
            "low beside a payment that is made anyway, once a year or month; a key costs two transactions, and waits for \
             blocks (docs/COSTS.md)"
                .to_owned(),
        )
        .if_shown(chain),
    };
    walk.add(options, Place::Proposition(9), row);
}

fn figure(counts: &[Count]) -> Lines {
    let of =
        |number: fn(&Count) -> usize| counts.iter().map(move |it| (it.parties as f64, number(it) as f64));
    let reckoned = (2..=MOST).map(|n| (n as f64, (n * (n - 1) / 2) as f64));
    Lines {
        title: "Everybody with everybody".to_owned(),
        x: "parties n".to_owned(),
        y: "count".to_owned(),
        log: (false, false),
        series: vec![
            Series::new("distinct keys, counted", Style::Circle, of(|it| it.distinct)),
            Series::new("C(n, 2)", Style::Solid, reckoned),
            Series::new("cards taken by hand, counted", Style::Triangle, of(|it| it.cards_by_hand)),
            Series::new("introductions, counted", Style::Square, of(|it| it.introductions)),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_as_they_are_reckoned() {
        assert!((2..40).all(|n| pairs_of(n) == n * (n - 1) / 2));
    }
}
