//! How a message is spread over outputs, and what that costs (PROTOCOL.md 7.1).

use bitcoin::{Amount, Weight};
use keyway_chain::Chain;
use thiserror::Error;

use crate::bits;

/// Bytes of the checksum that follows the message.
pub(crate) const CHECKSUM_LEN: usize = 5;

/// Outputs of a run that carry no data: the header and the final one.
const FRAME_OUTPUTS: usize = 2;

/// The length of a message of the value carrier: 1 to 4095 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageLen(u16);

/// The value carrier carries no message of this length; the caller is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the value carrier carries 1 to 4095 bytes, not {0}")]
pub struct ImpossibleLength(
    /// The length in bytes.
    pub usize,
);

impl MessageLen {
    /// The longest message.
    pub const MAX: Self = Self(4095);

    /// From a number of bytes.
    ///
    /// # Errors
    /// [`ImpossibleLength`] unless it is 1 to 4095.
    pub const fn new(len: usize) -> Result<Self, ImpossibleLength> {
        match len {
            1..=4095 => Ok(Self(len as u16)),
            _ => Err(ImpossibleLength(len)),
        }
    }

    /// The number of bytes.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// Bits that one data output carries, PROTOCOL.md's c: 1 to 30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoinBits(u8);

impl CoinBits {
    /// From a number, if it is 1 to 30.
    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            1..=30 => Some(Self(bits)),
            _ => None,
        }
    }

    /// All of them, the largest first.
    pub fn descending() -> impl Iterator<Item = Self> {
        (1..=30).rev().map(Self)
    }

    /// The number of bits.
    pub const fn get(self) -> u32 {
        self.0 as u32
    }

    /// The largest number that a data output adds to the floor, 2^c − 1.
    pub(crate) const fn largest_group(self) -> u64 {
        (1 << self.0) - 1
    }
}

/// The price does not cover the worst case of any layout; the payer has to raise it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "a price of {price} sat is too low to carry {len} bytes: the least is {least} sat, in {outputs} outputs",
    price = price.to_sat(), len = len.get(), least = least.to_sat(),
)]
pub struct PriceTooLow {
    /// The price asked for.
    pub price: Amount,
    /// The length of the message.
    pub len: MessageLen,
    /// The least price that carries it.
    pub least: Amount,
    /// How many outputs the run then has.
    pub outputs: usize,
}

/// How a message of one length is spread over the outputs of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    floor: Amount,
    len: MessageLen,
    bits: CoinBits,
}

// No sum below overflows: floors are thousands of satoshi, and a run has at most 32,802 outputs under 2^31 each.
impl Layout {
    /// With a c of one's own choice. A reader accepts any; whoever pays wants [`Layout::for_price`].
    pub fn new(chain: &Chain, len: MessageLen, bits: CoinBits) -> Self {
        Self { floor: chain.value_floor(), len, bits }
    }

    /// The layout of the largest c whose worst case `price` covers: the fewest outputs, so the lowest fees.
    ///
    /// # Errors
    /// [`PriceTooLow`] names the least price.
    pub fn for_price(chain: &Chain, len: MessageLen, price: Amount) -> Result<Self, PriceTooLow> {
        let mut layouts = CoinBits::descending().map(|bits| Self::new(chain, len, bits));
        layouts.find(|layout| layout.worst_case() <= price).ok_or_else(|| {
            let least = Self::least(chain, len);
            PriceTooLow { price, len, least: least.worst_case(), outputs: least.outputs() }
        })
    }

    /// The layout at the least price, which is its [`worst_case`](Self::worst_case).
    pub fn least(chain: &Chain, len: MessageLen) -> Self {
        let first = Self::new(chain, len, CoinBits(30));
        CoinBits::descending()
            .map(|bits| Self::new(chain, len, bits))
            .fold(first, |least, other| if other.worst_case() < least.worst_case() { other } else { least })
    }

    /// Least amount of an output.
    pub fn floor(&self) -> Amount {
        self.floor
    }

    /// The length of the message.
    pub fn len(&self) -> MessageLen {
        self.len
    }

    /// Bits per data output, PROTOCOL.md's c.
    pub fn bits(&self) -> CoinBits {
        self.bits
    }

    /// Number of outputs of the run: header, data and final.
    pub fn outputs(&self) -> usize {
        self.data_outputs() + FRAME_OUTPUTS
    }

    /// Number of data outputs, PROTOCOL.md's k.
    pub fn data_outputs(&self) -> usize {
        bits::group_count(self.len.get() + CHECKSUM_LEN, self.bits.get())
    }

    /// The price that suffices whatever the message says.
    pub fn worst_case(&self) -> Amount {
        let data = self.data_outputs() as u64;
        let floors = (data + FRAME_OUTPUTS as u64) * self.floor.to_sat();
        Amount::from_sat(floors + self.header_number() + data * self.bits.largest_group())
    }

    /// Estimated weight of the transaction that pays the run, beside `inputs` P2WPKH inputs and
    /// `other_outputs` P2WPKH outputs, such as change.
    pub fn paying_weight(&self, inputs: usize, other_outputs: usize) -> Weight {
        p2wpkh_weight(inputs, other_outputs.saturating_add(self.outputs()))
    }

    /// Estimated weight of the transaction that collects the run and so answers, beside `other_inputs` P2WPKH
    /// inputs; `outputs` are all its P2WPKH outputs, those of an answer in amounts too.
    pub fn collecting_weight(&self, other_inputs: usize, outputs: usize) -> Weight {
        p2wpkh_weight(other_inputs.saturating_add(self.outputs()), outputs)
    }

    pub(crate) fn header_amount(&self) -> Amount {
        Amount::from_sat(self.floor.to_sat() + self.header_number())
    }

    /// The layout that a header's amount announces, if it is the amount of a header.
    pub(crate) fn from_header(chain: &Chain, amount: Amount) -> Option<Self> {
        let number = amount.checked_sub(chain.value_floor())?.to_sat();
        let len = MessageLen::new(usize::try_from(number / 32).ok()?).ok()?;
        Some(Self::new(chain, len, CoinBits::new((number % 32) as u8)?))
    }

    fn header_number(&self) -> u64 {
        32 * self.len.get() as u64 + u64::from(self.bits.get())
    }
}

/// Estimated weight of a signed transaction of P2WPKH inputs and outputs: never less than the real one, and at
/// most 2 weight units per input more. `to_vbytes_ceil` gives the virtual bytes that fees are counted on.
pub fn p2wpkh_weight(inputs: usize, outputs: usize) -> Weight {
    /// Outpoint, empty scriptSig and sequence number at 4 units per byte; then the witness: element count, a
    /// signature of at most 72 bytes and a key of 33, each after its length.
    const INPUT: u64 = 4 * (36 + 1 + 4) + (1 + 1 + 72 + 1 + 33);
    /// Amount, script length and script.
    const OUTPUT: u64 = 4 * (8 + 1 + 22);
    /// Version, lock time, and segwit's marker and flag.
    const FRAME: u64 = 4 * (4 + 4) + 2;
    let counts = 4 * (compact_size_len(inputs) + compact_size_len(outputs));
    let inputs = (inputs as u64).saturating_mul(INPUT);
    let outputs = (outputs as u64).saturating_mul(OUTPUT);
    Weight::from_wu((FRAME + counts).saturating_add(inputs).saturating_add(outputs))
}

fn compact_size_len(count: usize) -> u64 {
    bitcoin::VarInt(count as u64).size() as u64
}
