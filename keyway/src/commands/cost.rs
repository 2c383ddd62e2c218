//! `cost`.

use bitcoin::FeeRate;
use keyway_node::{Costs, Quote, Terms};
use serde::Serialize;

use crate::amount::{grouped, sat};
use crate::cli::Cost;
use crate::error::Error;
use crate::render::json::CarriageJson;
use crate::render::layout::hanging;
use crate::render::negotiation::{costs, spread};
use crate::ui::Ui;

#[derive(Serialize)]
struct CostJson {
    chain: &'static str,
    carrier: &'static str,
    suite: &'static str,
    price_sat: u64,
    feerate_sat_per_vb: u32,
    offer: SizeJson,
    answer: SizeJson,
    paid_back_sat: u64,
    netted_sat: u64,
    refund: Option<SizeJson>,
    padding_bytes: usize,
    #[serde(flatten)]
    carriage: CarriageJson,
}

#[derive(Clone, Copy, Serialize)]
struct SizeJson {
    vbytes: u64,
    fee_sat: Option<u64>,
}

impl From<Costs> for SizeJson {
    fn from(costs: Costs) -> Self {
        Self { vbytes: costs.vbytes, fee_sat: costs.fee.map(bitcoin::Amount::to_sat) }
    }
}

/// `keyway cost`
pub fn run(args: &Cost, ui: &Ui) -> Result<(), Error> {
    let terms = Terms {
        price: args.pay.0,
        suite: args.terms.suite(),
        carrier: args.terms.carrier,
        form: args.terms.answer_in.into(),
        force: args.terms.force,
    };
    let quote = Quote::new(&args.chain, FeeRate::from_sat_per_vb_u32(args.feerate), &terms)?;
    let json = CostJson {
        chain: args.chain.name(),
        carrier: terms.carrier.name(),
        suite: terms.suite.name(),
        price_sat: terms.price.to_sat(),
        feerate_sat_per_vb: args.feerate,
        offer: quote.offer.into(),
        answer: quote.answer.into(),
        paid_back_sat: quote.paid_back.to_sat(),
        netted_sat: quote.netted.to_sat(),
        refund: quote.refund.map(SizeJson::from),
        padding_bytes: quote.padding,
        carriage: quote.carriage.into(),
    };
    ui.data(&json, |_| text(&terms, &quote, ui.width()))
}

fn text(terms: &Terms, quote: &Quote, width: usize) -> String {
    let answer = format!("{} · the payee nets {}", costs(quote.answer), sat(quote.netted));
    let mut lines = vec![
        ("", format!("suite {} · carrier {}", terms.suite, terms.carrier)),
        ("payment", spread(quote.carriage, terms.price)),
        ("offer", format!("{} · the payer needs {}", costs(quote.offer), sat(quote.needed(terms.price)))),
        ("answer", answer),
    ];
    if quote.padding > 0 {
        let bytes = grouped(quote.padding as u64);
        let why = "the lock's script is longer by them, because the answer's witness pays for OP_EXPONENT";
        lines.push(("padding", format!("{bytes}\u{a0}bytes: {why}")));
    }
    if let Some(refund) = quote.refund {
        lines.push(("refund", format!("{} · only if nobody answers in time", costs(refund))));
    }
    let line = |(head, text): &(&str, String)| hanging(&format!("{head:9}"), text, width);
    lines.iter().map(line).collect::<Vec<_>>().join("\n").trim_start().to_owned()
}
