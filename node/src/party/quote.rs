//! What a negotiation costs, before anything is paid.

use bitcoin::{Amount, FeeRate, Weight};
use keyway_carriers::script::{data, lock};
use keyway_carriers::value::{self, Layout, MessageLen, p2wpkh_weight};
use keyway_chain::Chain;
use keyway_protocol::letter;
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer};
use keyway_protocol::suite::Suite;

use super::Costs;
use crate::carried::Carriage;
use crate::error::NodeError;

/// How to negotiate, as far as it decides the cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What the responder is paid.
    pub price: Amount,
    /// The key agreement.
    pub suite: Suite,
    /// How the messages ride.
    pub carrier: Carrier,
    /// Where an answer over the value carrier rides.
    pub form: AnswerForm,
    /// Also a suite that the carrier has no room for at a sensible price.
    pub force: bool,
}

/// What it will cost. Sizes are those of an offer that spends one coin and gives change; signatures may make them a
/// byte or two smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// How the offer is carried.
    pub carriage: Carriage,
    /// The offer's transaction.
    pub offer: Costs,
    /// The answer's transaction.
    pub answer: Costs,
    /// What the answer pays back to the initiator.
    pub paid_back: Amount,
    /// What the responder keeps of the price.
    pub netted: Amount,
    /// The transaction that takes a locked payment back.
    pub refund: Option<Costs>,
    /// Bytes that a lock's script is longer by than it says anything: they pay for OP_EXPONENT in the answer's witness.
    pub padding: usize,
}

/// What an output of the dynamic carrier that names the responder holds.
pub(super) fn anchor_amount(chain: &Chain) -> Amount {
    chain.value_floor()
}

impl Quote {
    /// What negotiating so costs at that feerate.
    ///
    /// # Errors
    /// If the price is too low for the carrier, or the suite too large.
    pub fn new(chain: &Chain, feerate: FeeRate, terms: &Terms) -> Result<Self, NodeError> {
        let sizes = match terms.carrier {
            Carrier::Value => in_amounts(chain, terms)?,
            Carrier::Dynamic => Sizes::locked(chain, terms),
            _ => Sizes::sealed(chain, terms),
        };
        let [offer, answer] = [sizes.offer, sizes.answer].map(|weight| costs(feerate, weight));
        let refund = sizes.refund.map(|weight| costs(feerate, weight));
        let taken = [answer.fee.unwrap_or(Amount::MAX), sizes.paid_back, sizes.least_kept];
        let least = taken.into_iter().try_fold(Amount::ZERO, Amount::checked_add).unwrap_or(Amount::MAX);
        if least >= terms.price {
            return Err(too_little(terms, least, sizes.carriage));
        }
        let netted = terms.price - (least - sizes.least_kept);
        let Sizes { carriage, paid_back, padding, .. } = sizes;
        Ok(Self { carriage, offer, answer, paid_back, netted, refund, padding })
    }

    /// What the initiator needs: price and fee.
    pub fn needed(&self, price: Amount) -> Amount {
        price.checked_add(self.offer.fee.unwrap_or(Amount::MAX)).unwrap_or(Amount::MAX)
    }
}

/// What the outputs of a carrier weigh and bind.
struct Sizes {
    carriage: Carriage,
    offer: Weight,
    answer: Weight,
    refund: Option<Weight>,
    padding: usize,
    paid_back: Amount,
    /// Less than this the responder cannot be left with.
    least_kept: Amount,
}

impl Sizes {
    fn sealed(chain: &Chain, terms: &Terms) -> Self {
        let len = Offer::len_of(terms.suite, terms.carrier) + letter::OVERHEAD;
        let answer = Answer::len_of(terms.suite, terms.carrier) + letter::OVERHEAD;
        Self {
            carriage: Carriage::Sealed { bytes: len },
            offer: p2wpkh_weight(1, 2) + data::weight(len),
            answer: p2wpkh_weight(1, 1) + data::weight(answer),
            refund: None,
            padding: 0,
            paid_back: Amount::ZERO,
            least_kept: chain.dust_p2wpkh(),
        }
    }

    fn locked(chain: &Chain, terms: &Terms) -> Self {
        const LOCK_OUTPUT: Weight = Weight::from_wu(4 * (8 + 1 + 34));
        let len = Offer::len_of(terms.suite, terms.carrier);
        let answer = data::weight(Answer::len_of(terms.suite, terms.carrier));
        let by_exponent = terms.suite.locks_by_exponent();
        let amount = terms.price.checked_sub(anchor_amount(chain)).unwrap_or(Amount::ZERO);
        Self {
            carriage: Carriage::Locked { bytes: len, amount, timeout: None, by_exponent },
            offer: p2wpkh_weight(1, 2) + data::weight(len) + LOCK_OUTPUT,
            answer: p2wpkh_weight(1, 1) + answer + lock::collecting_weight(terms.suite),
            refund: Some(p2wpkh_weight(0, 1) + lock::returning_weight(terms.suite)),
            padding: lock::padding(terms.suite),
            paid_back: Amount::ZERO,
            least_kept: anchor_amount(chain) * 2,
        }
    }
}

fn in_amounts(chain: &Chain, terms: &Terms) -> Result<Sizes, NodeError> {
    let len = message_len(Offer::len_of(terms.suite, Carrier::Value))?;
    if terms.suite != Suite::default_over(Carrier::Value) && !terms.force {
        return Err(too_large(terms.suite, &Layout::least(chain, len)));
    }
    let layout = Layout::for_price(chain, len, terms.price).map_err(NodeError::PriceTooLow)?;
    let answer = message_len(Answer::len_of(terms.suite, Carrier::Value))?;
    let (paid_back, outputs) = match terms.form {
        AnswerForm::Amounts => {
            (value::amounts::price(chain, answer), Layout::least(chain, answer).outputs() + 1)
        }
        AnswerForm::Sequences => (Amount::ZERO, 1),
    };
    Ok(Sizes {
        carriage: Carriage::Coins { coins: layout.outputs(), bits: layout.bits().get() },
        offer: layout.paying_weight(1, 1),
        answer: layout.collecting_weight(0, outputs),
        refund: None,
        padding: 0,
        paid_back,
        least_kept: chain.dust_p2wpkh(),
    })
}

fn costs(feerate: FeeRate, weight: Weight) -> Costs {
    Costs { vbytes: weight.to_vbytes_ceil(), fee: feerate.fee_wu(weight) }
}

fn too_little(terms: &Terms, least: Amount, carriage: Carriage) -> NodeError {
    match carriage {
        Carriage::Coins { .. } => NodeError::NothingLeft {
            price: terms.price,
            cost: least,
            in_amounts: terms.form == AnswerForm::Amounts,
        },
        _ => NodeError::TooLittle {
            price: terms.price,
            least: least.checked_add(Amount::ONE_SAT).unwrap_or(least),
            carrier: terms.carrier,
        },
    }
}

fn too_large(suite: Suite, least: &Layout) -> NodeError {
    NodeError::TooLargeForValue {
        suite,
        bytes: least.len().get(),
        price: least.worst_case(),
        outputs: least.outputs(),
        offer: least.paying_weight(1, 1).to_vbytes_ceil(),
        answer: least.collecting_weight(0, 1).to_vbytes_ceil(),
    }
}

fn message_len(len: usize) -> Result<MessageLen, NodeError> {
    MessageLen::new(len).map_err(|error| NodeError::Wallet(error.to_string()))
}
