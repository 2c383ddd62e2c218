//! What a payer learns before paying.

use bitcoin::transaction::{InputWeightPrediction, predict_weight};
use bitcoin::{Amount, Sequence};
use keyway_carriers::value::{
    CoinBits, ImpossibleLength, Layout, MessageLen, PriceTooLow, p2wpkh_weight, sequences,
};
use keyway_chain::Chain;
use proptest::prelude::*;

use crate::support::{coin, party, pay, signed, transaction};

fn bitcoin() -> Chain {
    Chain::named("bitcoin").unwrap()
}

fn len(len: usize) -> MessageLen {
    MessageLen::new(len).unwrap()
}

#[test]
fn an_offer_of_33_bytes_costs_at_least_50754_satoshi_in_40_outputs() {
    let least = Layout::least(&bitcoin(), len(33));
    assert_eq!(least.worst_case(), Amount::from_sat(50_754));
    assert_eq!((least.bits().get(), least.outputs()), (8, 40));
}

#[test]
fn an_answer_of_49_bytes_pays_back_71346_satoshi() {
    assert_eq!(Layout::least(&bitcoin(), len(49)).worst_case(), Amount::from_sat(71_346));
}

#[test]
fn a_price_of_250000_satoshi_carries_an_offer_in_26_outputs_of_13_bits() {
    let layout = Layout::for_price(&bitcoin(), len(33), Amount::from_sat(250_000)).unwrap();
    assert_eq!((layout.bits().get(), layout.outputs()), (13, 26));
    assert_eq!(layout.paying_weight(1, 1).to_vbytes_ceil(), 916);
    assert_eq!(layout.collecting_weight(0, 1).to_vbytes_ceil(), 1_810);
}

#[test]
fn a_price_one_satoshi_too_low_is_refused_and_the_least_is_named() {
    let refused = Layout::for_price(&bitcoin(), len(33), Amount::from_sat(50_753)).unwrap_err();
    let least = Amount::from_sat(50_754);
    assert_eq!(refused, PriceTooLow { price: Amount::from_sat(50_753), len: len(33), least, outputs: 40 });
    assert_eq!(
        refused.to_string(),
        "a price of 50753 sat is too low to carry 33 bytes: the least is 50754 sat, in 40 outputs"
    );
}

#[test]
fn litecoin_costs_more_because_its_nodes_call_more_outputs_dust() {
    let litecoin = Chain::named("litecoin").unwrap();
    let layout = Layout::least(&litecoin, len(33));
    assert_eq!(layout.floor(), Amount::from_sat(6_000));
    assert!(layout.floor() > litecoin.dust_p2wpkh());
    assert_eq!(layout.worst_case(), Amount::from_sat(230_779));
    assert_eq!((layout.bits().get(), layout.outputs()), (10, 33));
}

#[test]
fn an_empty_message_and_one_over_4095_bytes_have_no_layout() {
    assert_eq!(MessageLen::new(0), Err(ImpossibleLength(0)));
    assert_eq!(MessageLen::new(4_096), Err(ImpossibleLength(4_096)));
    assert_eq!(MessageLen::new(4_095), Ok(MessageLen::MAX));
    assert_eq!(MessageLen::new(65_536 + 33), Err(ImpossibleLength(65_569)));
}

#[test]
fn every_offer_leaves_room_for_an_answer_of_49_bytes_in_sequence_numbers() {
    for bits in CoinBits::descending() {
        let run = Layout::new(&bitcoin(), len(33), bits);
        assert!(run.outputs() >= sequences::inputs_needed(len(49)), "c = {}", bits.get());
    }
}

#[test]
fn a_run_that_fits_no_machine_is_weighed_without_a_panic() {
    let layout = Layout::new(&bitcoin(), MessageLen::MAX, CoinBits::new(1).unwrap());
    assert_eq!(layout.outputs(), 32_802);
    assert!(layout.paying_weight(usize::MAX, usize::MAX) >= layout.collecting_weight(0, 1));
}

#[test]
fn a_signed_payment_weighs_what_was_estimated() {
    let party = party(0);
    let tx = transaction(&[(coin(1), Sequence::MAX)], vec![pay(&party, 1_000); 300]);
    let estimate = p2wpkh_weight(1, 300).to_wu();
    let real = signed(tx, &party).weight().to_wu();
    assert!((real..=real + 2).contains(&estimate), "{estimate} estimated, {real} real");
}

proptest! {
    #[test]
    fn the_chosen_layout_is_the_largest_the_price_covers(bytes in 1usize..=4095, price in 0u64..10_000_000_000) {
        let (chain, price) = (bitcoin(), Amount::from_sat(price));
        let covers = |bits: &CoinBits| Layout::new(&chain, len(bytes), *bits).worst_case() <= price;
        match Layout::for_price(&chain, len(bytes), price) {
            Ok(layout) => prop_assert_eq!(Some(layout.bits()), CoinBits::descending().find(covers)),
            Err(refused) => {
                prop_assert!(!CoinBits::descending().any(|bits| covers(&bits)));
                prop_assert!(refused.least > price);
                let least = Layout::for_price(&chain, len(bytes), refused.least).unwrap();
                prop_assert_eq!(least, Layout::least(&chain, len(bytes)));
                prop_assert_eq!(least.outputs(), refused.outputs);
            }
        }
    }

    #[test]
    fn the_estimate_is_that_of_the_bitcoin_library(inputs in 0usize..600, outputs in 0usize..600) {
        let library = predict_weight(
            std::iter::repeat_n(InputWeightPrediction::P2WPKH_MAX, inputs),
            std::iter::repeat_n(22, outputs),
        );
        // Without inputs the library counts no witness.
        prop_assume!(inputs > 0);
        prop_assert_eq!(p2wpkh_weight(inputs, outputs), library);
    }
}
