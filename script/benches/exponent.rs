//! OP_EXPONENT against signatures: time per weight unit, and the worst block of each. `./x bench script`.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::serialize;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::key::UntweakedPublicKey;
use bitcoin::secp256k1::{Keypair, Message, Secp256k1, SecretKey};
use bitcoin::taproot::{LeafVersion, TaprootBuilder};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Txid, Witness};
use keyway_script::exponent::Exponentiation;
use keyway_script::instruction::push_of;
use keyway_script::opcode::{
    OP_1, OP_2DROP, OP_2DUP, OP_3DUP, OP_CHECKSIGVERIFY, OP_DROP, OP_EXPONENT, Opcode,
};
use keyway_script::sighash::{self, Leaf};
use keyway_script::taproot::leaf_hash;
use keyway_script::{Flags, Spending};
use num_bigint::BigUint;

/// What a block holds, in weight units.
const BLOCK: usize = 4_000_000;
/// Of the sweep, how many points get a block of their own.
const WORST: usize = 4;
const SIGNATURE_PRICE: f64 = 50.0;

fn main() {
    let signature = signature_time();
    println!("one Schnorr verification {signature:.1?}, {SIGNATURE_PRICE} weight units");
    let points = sweep(signature);
    println!("\nthe worst block of each");
    let full = signatures_block();
    let ours = fastest(2, || full.verify());
    let cores = fastest(2, || full.verify_by_core());
    println!("{ours:>10.0?}  signatures, this interpreter");
    println!("{cores:>10.0?}  signatures, Bitcoin Core's interpreter");
    let ratios = points.iter().take(WORST).map(|point| block_ratio(point, ours.min(cores)));
    let worst = ratios.fold(0.0, f64::max);
    println!("the worst block of OP_EXPONENT takes {worst:.2} of the time of the worst block of signatures");
    std::process::exit(i32::from(worst > 1.0));
}

fn block_ratio(point: &Point, baseline: Duration) -> f64 {
    let full = exponent_block(point);
    let time = fastest(1, || full.verify());
    let ratio = time.as_secs_f64() / baseline.as_secs_f64();
    println!("{time:>10.0?}  OP_EXPONENT, {}: {ratio:.2} of the faster one", point.name());
    ratio
}

/// Operands to measure.
struct Point {
    base: Vec<u8>,
    exponent: Vec<u8>,
    modulus: Vec<u8>,
    price: i64,
    time: Duration,
    /// Time per weight unit, that of signatures being 1.
    cost: f64,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [modulus, exponent] = [&self.modulus, &self.exponent].map(|number| bits_of(number));
        let base = bits_of(&self.base);
        write!(
            f,
            "{base:>6} {modulus:>9} {exponent:>8} {:>10.1?} {:>6} {:>6.2}",
            self.time, self.price, self.cost
        )
    }
}

impl Point {
    fn is_telling(&self) -> bool {
        let telling = |number: &[u8], sizes: &[usize]| sizes.contains(&bits_of(number));
        telling(&self.modulus, &[256, 1024, 2048, 3072, 4096])
            && telling(&self.exponent, &[1, 256, 1024, 2048, 4096])
    }

    fn name(&self) -> String {
        let sizes = [&self.base, &self.exponent, &self.modulus].map(|number| bits_of(number).to_string());
        format!("base, exponent, modulus of {} bits", sizes.join(", "))
    }
}

/// Bytes of moduli: each number of words that OpenSSL treats in its own way, and those around.
const SIZES: &[usize] = &[
    1, 8, 9, 16, 24, 32, 33, 48, 64, 65, 80, 96, 120, 128, 129, 160, 192, 193, 224, 248, 256, 257, 320, 384,
    385, 448, 504, 512,
];
/// A base of so many bytes OpenSSL multiplies with in a way of its own.
const WORD: usize = 8;
/// Bits of exponents: around the sizes where OpenSSL's table grows, and powers of two.
const BITS: &[usize] = &[0, 1, 2, 6, 7, 8, 23, 24, 79, 80, 128, 239, 240, 256, 671, 672, 1024, 2048, 4096];

/// Every size of modulus with every size of exponent; the dearest in time per weight unit first.
fn sweep(signature: Duration) -> Vec<Point> {
    println!(
        "\n  base   modulus exponent   time      price  time per weight unit, that of signatures being 1"
    );
    let pairs = SIZES.iter().flat_map(|size| BITS.iter().map(move |bits| (*size, *bits)));
    let bases = pairs.flat_map(|(size, bits)| [(size, bits, size), (size, bits, WORD.min(size))]);
    let mut points: Vec<Point> =
        bases.map(|(size, bits, base)| measure(size, bits, base, signature)).collect();
    for point in points.iter().filter(|point| point.is_telling()) {
        println!("{point}");
    }
    points.sort_by(|a, b| b.cost.total_cmp(&a.cost));
    println!("the dearest of {}:", points.len());
    points.iter().take(WORST).for_each(|point| println!("{point}"));
    println!("\nnum-bigint");
    points.iter().filter(|point| point.is_telling() && bits_of(&point.exponent) == 256).for_each(compare);
    points
}

/// The same with a library in Rust alone.
fn compare(point: &Point) {
    let [base, exponent, modulus] =
        [&point.base, &point.exponent, &point.modulus].map(|number| BigUint::from_bytes_be(number));
    let time = fastest(5, || base.modpow(&exponent, &modulus));
    println!(
        "{:>16} {time:>10.1?} {:.1} times",
        bits_of(&point.modulus),
        time.as_secs_f64() / point.time.as_secs_f64()
    );
}

fn measure(size: usize, bits: usize, base: usize, signature: Duration) -> Point {
    let mut modulus = expand("modulus", size);
    (modulus[0], modulus[size - 1]) = (modulus[0] | 0x80, modulus[size - 1] | 1);
    let mut base = expand("base", base);
    base[0] = (base[0] & 0x7f) | 0x40;
    let exponent = exponent_of(bits);
    let operation = Exponentiation::new(&base, &exponent, &modulus).unwrap();
    let price = operation.price();
    let rounds = (300_000 / price as usize).clamp(5, 400);
    let time = fastest(rounds, || operation.compute());
    let cost = time.as_secs_f64() / price as f64 / (signature.as_secs_f64() / SIGNATURE_PRICE);
    Point { base, exponent, modulus, price, time, cost }
}

fn bits_of(number: &[u8]) -> usize {
    number.len() * 8 - number.first().map_or(0, |first| first.leading_zeros() as usize)
}

/// All ones: no other exponent of its length takes more multiplications.
fn exponent_of(bits: usize) -> Vec<u8> {
    let mut exponent = vec![0xff; bits.div_ceil(8)];
    if let (Some(first), rest @ 1..) = (exponent.first_mut(), bits % 8) {
        *first = 0xff >> (8 - rest);
    }
    exponent
}

fn expand(label: &str, size: usize) -> Vec<u8> {
    let block = |nth: u32| sha256::Hash::hash(format!("{label} {nth}").as_bytes()).to_byte_array();
    (0..).flat_map(block).take(size).collect()
}

/// The least of many rounds, in time that this thread had the processor: what else runs on the machine only adds.
fn fastest<T>(rounds: usize, mut job: impl FnMut() -> T) -> Duration {
    let round = |_| {
        let start = processor_time();
        black_box(job());
        processor_time() - start
    };
    (0..rounds).map(round).min().unwrap()
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn pair() -> Keypair {
    Keypair::from_secret_key(&Secp256k1::new(), &SecretKey::from_slice(&[7; 32]).unwrap())
}

fn signature_time() -> Duration {
    let (secp, pair, message) = (Secp256k1::new(), pair(), Message::from_digest([9; 32]));
    let (signature, key) = (secp.sign_schnorr_no_aux_rand(&message, &pair), pair.x_only_public_key().0);
    fastest(2_000, || secp.verify_schnorr(&signature, &message, &key).unwrap())
}

/// A transaction with one input whose witness fills a block.
struct Full {
    transaction: Transaction,
    prevouts: Vec<TxOut>,
}

impl Full {
    fn new(script: &[u8]) -> Self {
        let spent = TxOut { value: Amount::ONE_BTC, script_pubkey: commit_to(script).0 };
        let input = TxIn { previous_output: OutPoint::new(Txid::all_zeros(), 0), ..TxIn::default() };
        let output = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new() };
        let (version, lock_time) = (Version::TWO, LockTime::ZERO);
        let transaction = Transaction { version, lock_time, input: vec![input], output: vec![output] };
        Self { transaction, prevouts: vec![spent] }
    }

    /// With these items for the script, and an annex for the weight that is left.
    fn unlock(&mut self, items: impl FnOnce(&Self, Option<[u8; 32]>) -> Vec<Vec<u8>>, script: &[u8]) {
        let control = commit_to(script).1;
        let mut annex = vec![0; BLOCK - script.len() - control.len() - 2_000];
        annex[0] = 0x50;
        let mut witness = items(self, Some(sha256::Hash::hash(&serialize(&annex)).to_byte_array()));
        witness.extend([script.to_vec(), control, annex]);
        self.transaction.input[0].witness = Witness::from_slice(&witness);
    }

    fn verify(&self) {
        let spending = Spending::new(&self.transaction, &self.prevouts).unwrap();
        spending.input(0).unwrap().verify(Flags::CONSENSUS | Flags::EXPONENT).unwrap();
    }

    fn verify_by_core(&self) {
        let transaction = bitcoinkernel::Transaction::new(&serialize(&self.transaction)).unwrap();
        let script = bitcoinkernel::ScriptPubkey::new(self.prevouts[0].script_pubkey.as_bytes()).unwrap();
        let amount = self.prevouts[0].value.to_sat() as i64;
        let spent = [bitcoinkernel::TxOut::new(&script, amount)];
        let data = bitcoinkernel::PrecomputedTransactionData::new(&transaction, &spent).unwrap();
        bitcoinkernel::verify(&script, Some(amount), &transaction, 0, None, &data).unwrap();
    }
}

/// The output, and the control block, of this script alone.
fn commit_to(script: &[u8]) -> (ScriptBuf, Vec<u8>) {
    let (secp, script) = (Secp256k1::new(), ScriptBuf::from_bytes(script.to_vec()));
    let (internal, _) = UntweakedPublicKey::from_keypair(&pair());
    let info = TaprootBuilder::new().add_leaf(0, script.clone()).unwrap().finalize(&secp, internal).unwrap();
    let control = info.control_block(&(script, LeafVersion::TapScript)).unwrap().serialize();
    (ScriptBuf::new_p2tr_tweaked(info.output_key()), control)
}

/// `times` times these operations between a beginning and an end.
fn repeated(begin: &[u8], operations: &[Opcode], times: usize, end: &[Opcode]) -> Vec<u8> {
    let bytes = |opcodes: &[Opcode]| opcodes.iter().map(|opcode| opcode.0).collect::<Vec<u8>>();
    [begin, &bytes(operations).repeat(times), &bytes(end)].concat()
}

/// One signature, checked as often as the block's weight pays for.
fn signatures_block() -> Full {
    let key = pair().x_only_public_key().0.serialize();
    let times = (BLOCK - 3_000) / 50;
    let script = repeated(&push_of(&key), &[OP_2DUP, OP_CHECKSIGVERIFY], times, &[OP_2DROP, OP_1]);
    let mut full = Full::new(&script);
    let sign = |full: &Full, annex| {
        let spending = Spending::new(&full.transaction, &full.prevouts).unwrap();
        let leaf = Leaf { hash: leaf_hash(0xc0, &script), separator: u32::MAX };
        let hash = sighash::taproot(spending.input(0).unwrap(), 0, annex, Some(leaf)).unwrap();
        let signature = Secp256k1::new().sign_schnorr_no_aux_rand(&Message::from_digest(hash), &pair());
        vec![signature.serialize().to_vec()]
    };
    full.unlock(sign, &script);
    full
}

/// One exponentiation, done as often as the block's weight pays for.
fn exponent_block(point: &Point) -> Full {
    let operands = [&point.exponent, &point.base, &point.modulus].map(|operand| push_of(operand)).concat();
    let times = (BLOCK - 3_000) / point.price as usize;
    let end = [OP_2DROP, OP_DROP, OP_1];
    let script = repeated(&operands, &[OP_3DUP, OP_EXPONENT, OP_DROP], times, &end);
    let mut full = Full::new(&script);
    full.unlock(|_, _| Vec::new(), &script);
    full
}
