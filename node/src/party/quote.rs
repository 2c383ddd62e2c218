//! What a negotiation costs, before anything is paid.

use bitcoin::{Amount, FeeRate, Weight};
use keyway_carriers::script::{Way, data, envelope, liveness, lock};
use keyway_carriers::value::{self, Layout, MessageLen, p2wpkh_weight};
use keyway_chain::Chain;
use keyway_protocol::letter;
use keyway_protocol::message::{Answer, AnswerForm, Carrier, Offer};
use keyway_protocol::suite::{GroupLen, LEAST_BITS, Suite};

use super::Costs;
use super::envelope::{commit_weight, fund_amount, own_commit_weight};
use crate::carried::Carriage;
use crate::error::{GroupError, NodeError, OfferError};

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
    /// The group, of a suite that brings one; without it, one of the least length.
    pub group: Option<GroupLen>,
    /// Whether the answer puts a liveness coin aside, as the responder's policy has it.
    pub coin: bool,
}

/// What it will cost. Sizes are those of an offer that spends one coin and gives change; signatures may make them a
/// byte or two smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// How the offer is carried.
    pub carriage: Carriage,
    /// The offer's transaction.
    pub offer: Costs,
    /// The transaction that commits to the offer, if that rides in an envelope; the envelope's own amount comes back.
    pub offer_commit: Option<Costs>,
    /// The answer's transaction.
    pub answer: Costs,
    /// The transaction that commits to the answer, if that rides in an envelope.
    pub answer_commit: Option<Costs>,
    /// What the responder is given, of the price, for that.
    pub fund: Amount,
    /// What the answer pays back to the initiator.
    pub paid_back: Amount,
    /// What the answer puts aside in a liveness coin.
    pub set_aside: Amount,
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
    /// What negotiating so costs at that feerate, through nodes that relay data outputs of at most `most_data` bytes
    /// of script.
    ///
    /// # Errors
    /// If the price is too low for the carrier, or the suite too large.
    pub fn new(chain: &Chain, feerate: FeeRate, terms: &Terms, most_data: usize) -> Result<Self, NodeError> {
        let through = Through { chain, feerate, most_data };
        terms.check_carrier(chain)?;
        let mut sizes = match terms.carrier {
            Carrier::Value => in_amounts(chain, terms)?,
            Carrier::Dynamic => Sizes::locked(&through, terms),
            _ => Sizes::sealed(&through, terms),
        };
        if terms.coin {
            sizes.add_coin(chain);
        }
        let [offer, answer] = [sizes.offer, sizes.answer].map(|weight| costs(feerate, weight));
        let refund = sizes.refund.map(|weight| costs(feerate, weight));
        let fee_of = |costs: Option<Costs>| costs.map_or(Amount::ZERO, |it| it.fee.unwrap_or(Amount::MAX));
        let [offer_commit, answer_commit] = sizes.committed;
        let offer_commit = offer_commit.then(|| costs(feerate, own_commit_weight()));
        let answer_commit = answer_commit.then(|| costs(feerate, commit_weight()));
        let fees = [fee_of(Some(answer)), fee_of(answer_commit)];
        let given = [sizes.paid_back, sizes.set_aside, sizes.least_kept];
        let mut taken = fees.into_iter().chain(given);
        let least = taken.try_fold(Amount::ZERO, Amount::checked_add).unwrap_or(Amount::MAX);
        if least >= terms.price {
            return Err(too_little(terms, least, sizes.carriage));
        }
        let netted = terms.price - (least - sizes.least_kept);
        let Sizes { carriage, paid_back, set_aside, fund, padding, .. } = sizes;
        Ok(Self {
            carriage,
            offer,
            offer_commit,
            answer,
            answer_commit,
            fund,
            paid_back,
            set_aside,
            netted,
            refund,
            padding,
        })
    }

    /// What the initiator needs: price and fees.
    pub fn needed(&self, price: Amount) -> Amount {
        let fees = [Some(self.offer), self.offer_commit].into_iter().flatten();
        let mut fees = fees.map(|costs| costs.fee.unwrap_or(Amount::MAX));
        fees.try_fold(price, Amount::checked_add).unwrap_or(Amount::MAX)
    }
}

impl Terms {
    /// The group that decides the lengths.
    fn group(&self) -> Option<GroupLen> {
        let least = GroupLen { modulus: LEAST_BITS as usize / 8, generator: 1 };
        self.suite.brings_group().then(|| self.group.unwrap_or(least))
    }

    fn offer_len(&self) -> usize {
        match self.group() {
            Some(group) => Offer::len_with(self.suite, group),
            None => Offer::len_of(self.suite, self.carrier),
        }
    }

    fn answer_len(&self) -> usize {
        match self.group() {
            Some(group) => Answer::len_in(group),
            None => Answer::len_of(self.suite, self.carrier),
        }
    }

    /// Refuses a suite that brings its group over a carrier that has no place for it.
    pub(super) fn check_carrier(&self, chain: &Chain) -> Result<(), NodeError> {
        let (suite, carrier) = (self.suite, self.carrier);
        if suite.rides_over(carrier) {
            return Ok(());
        }
        let bytes = self.offer_len();
        let least = Layout::least(chain, message_len(bytes)?);
        let (price, outputs) = (least.worst_case(), least.outputs());
        Err(NodeError::Group(GroupError::NoPlace { suite, carrier, bytes, price, outputs }))
    }
}

/// Which nodes carry the messages, at what feerate.
struct Through<'a> {
    chain: &'a Chain,
    feerate: FeeRate,
    most_data: usize,
}

impl Through<'_> {
    /// What so many bytes add to a transaction, and where they are.
    fn message(&self, bytes: usize) -> (Way, Weight) {
        match Way::through(self.most_data, bytes) {
            Way::Output => (Way::Output, data::weight(bytes)),
            Way::Envelope => (Way::Envelope, envelope::revealing_weight(bytes)),
        }
    }

    /// The second output to the responder, beside an offer that rides so.
    fn fund(&self, offer: Way) -> (Amount, usize) {
        match offer {
            Way::Output => (Amount::ZERO, 0),
            Way::Envelope => (fund_amount(self.chain, self.feerate), 1),
        }
    }
}

/// What the outputs of a carrier weigh and bind.
struct Sizes {
    carriage: Carriage,
    offer: Weight,
    answer: Weight,
    /// Whether they ride in envelopes.
    committed: [bool; 2],
    fund: Amount,
    refund: Option<Weight>,
    padding: usize,
    paid_back: Amount,
    /// What the answer puts into a liveness coin.
    set_aside: Amount,
    /// Less than this the responder cannot be left with.
    least_kept: Amount,
}

impl Sizes {
    /// The answer makes a liveness coin too.
    fn add_coin(&mut self, chain: &Chain) {
        self.set_aside = liveness::amount(chain);
        self.answer += liveness::output_weight();
    }

    fn sealed(through: &Through<'_>, terms: &Terms) -> Self {
        let bytes = terms.offer_len() + letter::OVERHEAD;
        let answer = terms.answer_len() + letter::OVERHEAD;
        let ((way, offer), (back, answer)) = (through.message(bytes), through.message(answer));
        let (fund, funds) = through.fund(way);
        Self {
            carriage: Carriage::Sealed { bytes, way },
            offer: p2wpkh_weight(1, 2 + funds) + offer,
            answer: p2wpkh_weight(1 + spare(funds, back), 1) + answer,
            committed: [way, back].map(|way| way == Way::Envelope),
            fund,
            refund: None,
            padding: 0,
            paid_back: Amount::ZERO,
            set_aside: Amount::ZERO,
            least_kept: through.chain.dust_p2wpkh() + fund,
        }
    }

    fn locked(through: &Through<'_>, terms: &Terms) -> Self {
        const LOCK_OUTPUT: Weight = Weight::from_wu(4 * (8 + 1 + 34));
        let (bytes, answer) = (terms.offer_len(), terms.answer_len());
        let ((way, offer), (back, answer)) = (through.message(bytes), through.message(answer));
        let (fund, funds) = through.fund(way);
        let beside = anchor_amount(through.chain) + fund;
        let amount = terms.price.checked_sub(beside).unwrap_or(Amount::ZERO);
        let by_exponent = terms.suite.locks_by_exponent();
        Self {
            carriage: Carriage::Locked { bytes, way, amount, timeout: None, by_exponent },
            offer: p2wpkh_weight(1, 2 + funds) + offer + LOCK_OUTPUT,
            answer: p2wpkh_weight(1 + spare(funds, back), 1) + answer + lock::collecting_weight(terms.suite),
            committed: [way, back].map(|way| way == Way::Envelope),
            fund,
            refund: Some(p2wpkh_weight(0, 1) + lock::returning_weight(terms.suite)),
            padding: lock::padding(terms.suite),
            paid_back: Amount::ZERO,
            set_aside: Amount::ZERO,
            least_kept: anchor_amount(through.chain) * 2 + fund,
        }
    }
}

/// Coins given for an envelope that the answer collects itself, since it needs none.
fn spare(funds: usize, answer: Way) -> usize {
    if answer == Way::Output { funds } else { 0 }
}

fn in_amounts(chain: &Chain, terms: &Terms) -> Result<Sizes, NodeError> {
    let len = message_len(Offer::len_of(terms.suite, Carrier::Value))?;
    if terms.suite != Suite::default_over(Carrier::Value) && !terms.force {
        return Err(too_large(terms.suite, &Layout::least(chain, len)));
    }
    let layout = Layout::for_price(chain, len, terms.price).map_err(OfferError::PriceTooLow)?;
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
        committed: [false; 2],
        fund: Amount::ZERO,
        refund: None,
        padding: 0,
        paid_back,
        set_aside: Amount::ZERO,
        least_kept: chain.dust_p2wpkh(),
    })
}

fn costs(feerate: FeeRate, weight: Weight) -> Costs {
    Costs { vbytes: weight.to_vbytes_ceil(), fee: feerate.fee_wu(weight) }
}

fn too_little(terms: &Terms, least: Amount, carriage: Carriage) -> NodeError {
    match carriage {
        Carriage::Coins { .. } => NodeError::Offer(OfferError::NothingLeft {
            price: terms.price,
            cost: least,
            in_amounts: terms.form == AnswerForm::Amounts,
            coin: terms.coin,
        }),
        _ => NodeError::Offer(OfferError::TooLittle {
            price: terms.price,
            least: least.checked_add(Amount::ONE_SAT).unwrap_or(least),
            carrier: terms.carrier,
        }),
    }
}

fn too_large(suite: Suite, least: &Layout) -> NodeError {
    NodeError::Offer(OfferError::TooLargeForValue {
        suite,
        bytes: least.len().get(),
        price: least.worst_case(),
        outputs: least.outputs(),
        offer: least.paying_weight(1, 1).to_vbytes_ceil(),
        answer: least.collecting_weight(0, 1).to_vbytes_ceil(),
    })
}

fn message_len(len: usize) -> Result<MessageLen, NodeError> {
    MessageLen::new(len).map_err(|error| NodeError::Wallet(error.to_string()))
}
