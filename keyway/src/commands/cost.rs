//! `cost`.

use bitcoin::FeeRate;
use keyway_carriers::script::data;
use keyway_chain::Chain;
use keyway_node::{Quote, Terms};
use serde::Serialize;

use crate::amount::{grouped, sat};
use crate::cli::Cost;
use crate::error::Error;
use crate::render::json::{CarriageJson, CostsJson, EnvelopesJson};
use crate::render::layout::hanging;
use crate::render::negotiation::{committed, costs, spread};
use crate::ui::Ui;

#[derive(Serialize)]
struct CostJson {
    chain: &'static str,
    carrier: &'static str,
    suite: &'static str,
    price_sat: u64,
    feerate_sat_per_vb: u32,
    offer: CostsJson,
    answer: CostsJson,
    paid_back_sat: u64,
    set_aside_sat: u64,
    netted_sat: u64,
    refund: Option<CostsJson>,
    padding_bytes: usize,
    envelopes: Option<EnvelopesJson>,
    #[serde(flatten)]
    carriage: CarriageJson,
}

/// `keyway cost`
pub fn run(args: &Cost, ui: &Ui) -> Result<(), Error> {
    let terms = Terms {
        price: args.pay.0,
        suite: args.terms.suite(),
        carrier: args.terms.carrier,
        form: args.terms.answer_in.into(),
        force: args.terms.force,
        group: None,
        coin: args.liveness,
    };
    let feerate = FeeRate::from_sat_per_vb_u32(args.feerate);
    let quote = Quote::new(&args.chain, feerate, &terms, usize::MAX)?;
    let old = in_envelopes(&args.chain, feerate, &terms);
    let json = CostJson {
        chain: args.chain.name(),
        carrier: terms.carrier.name(),
        suite: terms.suite.name(),
        price_sat: terms.price.to_sat(),
        feerate_sat_per_vb: args.feerate,
        offer: quote.offer.into(),
        answer: quote.answer.into(),
        paid_back_sat: quote.paid_back.to_sat(),
        set_aside_sat: quote.set_aside.to_sat(),
        netted_sat: quote.netted.to_sat(),
        refund: quote.refund.map(CostsJson::from),
        padding_bytes: quote.padding,
        envelopes: old.as_ref().map(EnvelopesJson::from),
        carriage: quote.carriage.into(),
    };
    ui.data(&json, |_| text(&terms, &quote, old.as_ref(), ui.width()))
}

/// What it costs through nodes that relay no data output so large; `None` if they relay it, or if the price is too low for
/// that way.
pub fn in_envelopes(chain: &Chain, feerate: FeeRate, terms: &Terms) -> Option<Quote> {
    let old = Quote::new(chain, feerate, terms, data::OLD_LIMIT).ok()?;
    (old.offer_commit.is_some() || old.answer_commit.is_some()).then_some(old)
}

fn text(terms: &Terms, quote: &Quote, old: Option<&Quote>, width: usize) -> String {
    let mut lines = vec![
        ("", format!("suite {} · carrier {}", terms.suite, terms.carrier)),
        ("payment", spread(quote.carriage, terms.price)),
    ];
    if quote.padding > 0 {
        let bytes = grouped(quote.padding as u64);
        let why = "the lock's script is longer by them, because the answer's witness pays for OP_EXPONENT";
        lines.push(("padding", format!("{bytes}\u{a0}bytes: {why}")));
    }
    lines.extend(both(terms, quote));
    if terms.coin {
        let coin = sat(quote.set_aside);
        lines.push(("coin", format!("{coin} put aside by the answer: spending it revokes the key")));
    }
    if let Some(refund) = quote.refund {
        lines.push(("refund", format!("{} · only if nobody answers in time", costs(refund))));
    }
    if let Some(old) = old {
        let most = data::OLD_LIMIT;
        lines.push(("or", format!("in envelopes, through nodes that relay at most {most} bytes of data:")));
        lines.extend(both(terms, old));
    }
    let line = |(head, text): &(&str, String)| hanging(&format!("{head:9}"), text, width);
    lines.iter().map(line).collect::<Vec<_>>().join("\n").trim_start().to_owned()
}

/// What each side pays.
fn both(terms: &Terms, quote: &Quote) -> [(&'static str, String); 2] {
    let offer = format!("{}{}", costs(quote.offer), committed(quote.offer_commit));
    let answer = format!("{}{}", costs(quote.answer), committed(quote.answer_commit));
    [
        ("offer", format!("{offer} · the payer needs {}", sat(quote.needed(terms.price)))),
        ("answer", format!("{answer} · the payee nets {}", sat(quote.netted))),
    ]
}
