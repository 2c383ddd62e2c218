//! Scripts that hold together: pieces that each consume what was meant for them and leave the stack as they found it.

use bitcoin::hashes::{Hash, hash160, ripemd160, sha1, sha256, sha256d};
use bitcoin::secp256k1::rand::Rng;
use bitcoin::secp256k1::rand::rngs::StdRng;
use keyway_script::instruction::push_of;
use keyway_script::number;
use keyway_script::opcode::*;

use super::keys::{Form, KEYS};
use super::{bytes, pick};

#[derive(Clone, Copy, PartialEq)]
pub enum Generation {
    Legacy,
    Segwit,
    Tapscript,
}

/// One instruction.
pub struct Token {
    pub bytes: Vec<u8>,
    /// Whether the branches that it stands in are taken.
    pub taken: bool,
    /// Which of the program's signatures it checks.
    pub checks: Vec<usize>,
}

/// What the unlocking side gives.
pub enum Unlock {
    Bytes(Vec<u8>),
    /// A signature, by its number and key.
    Signature(usize, usize),
}

/// A script and what it wants, the first thing that it takes being the first.
pub struct Program {
    pub generation: Generation,
    pub tokens: Vec<Token>,
    pub unlock: Vec<Unlock>,
    signatures: usize,
    taken: bool,
}

impl Program {
    pub fn generate(rng: &mut StdRng, generation: Generation) -> Self {
        let mut program =
            Self { generation, tokens: Vec::new(), unlock: Vec::new(), signatures: 0, taken: true };
        for _ in 0..*pick(rng, &[0, 1, 1, 2, 2, 3, 4, 6]) {
            program.piece(rng, 0);
        }
        program.end(rng);
        program
    }

    /// `<key> CHECKSIG`, as every wallet has it.
    pub fn pay_to_key(rng: &mut StdRng, generation: Generation) -> Self {
        let mut program =
            Self { generation, tokens: Vec::new(), unlock: Vec::new(), signatures: 0, taken: true };
        program.check_key(rng, OP_CHECKSIG);
        program
    }

    fn end(&mut self, rng: &mut StdRng) {
        match rng.gen_range(0..40) {
            0 => self.op(OP_DEPTH),
            1 => self.number(0),
            2 => self.push(&[0x80]),
            3 => self.push(&[0, 0x80, 0]),
            4 => self.raw(&[0x02, 0x01]), // ends within a push
            5 => {}
            _ => self.number(rng.gen_range(1..17)),
        }
    }

    fn piece(&mut self, rng: &mut StdRng, depth: u32) {
        match rng.gen_range(0..24) {
            0..=4 => self.signature(rng),
            5 | 6 => self.many_signatures(rng),
            7 | 8 => self.preimage(rng),
            9 => self.lock_time(rng),
            10 | 11 if depth < 4 => self.branches(rng, depth),
            12 | 13 => self.arithmetic(rng),
            14 | 15 => self.shuffle(rng),
            16 => self.sizes(rng),
            17 => self.op(OP_CODESEPARATOR),
            18 => self.op(*pick(rng, &[OP_NOP, OP_NOP1, OP_NOP4, OP_NOP10])),
            19 => self.alt_stack(rng),
            20 if rng.gen_bool(0.3) => self.limits(rng),
            21 if rng.gen_bool(0.3) => self.junk(rng),
            22 if rng.gen_bool(0.3) => self.not_taken(rng),
            _ => self.preimage(rng),
        }
    }

    fn token(&mut self, bytes: Vec<u8>, checks: Vec<usize>) {
        self.tokens.push(Token { bytes, taken: self.taken, checks });
    }

    fn op(&mut self, opcode: Opcode) {
        self.token(vec![opcode.0], Vec::new());
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.token(bytes.to_vec(), Vec::new());
    }

    fn push(&mut self, data: &[u8]) {
        self.token(push_of(data), Vec::new());
    }

    fn number(&mut self, number: i64) {
        match number {
            0 => self.raw(&[0]),
            1..=16 => self.raw(&[OP_1.0 - 1 + number as u8]),
            _ => self.push(&number::encode(number)),
        }
    }

    /// Wants an item, unless this branch is not taken.
    fn want(&mut self, bytes: Vec<u8>) {
        if self.taken {
            self.unlock.push(Unlock::Bytes(bytes));
        }
    }

    /// Wants a signature of this key, and says which number it has.
    fn want_signature(&mut self, key: usize) -> Vec<usize> {
        if !self.taken {
            return Vec::new();
        }
        self.unlock.push(Unlock::Signature(self.signatures, key));
        self.signatures += 1;
        vec![self.signatures - 1]
    }

    fn check_key(&mut self, rng: &mut StdRng, opcode: Opcode) {
        let key = rng.gen_range(0..KEYS.len());
        let checks = self.want_signature(key);
        let written = self.written_key(rng, key);
        self.push(&written);
        self.token(vec![opcode.0], checks);
    }

    /// Mostly as the generation has them.
    fn written_key(&self, rng: &mut StdRng, key: usize) -> Vec<u8> {
        let tapscript = self.generation == Generation::Tapscript;
        let usual = if tapscript { Form::XOnly } else { Form::Compressed };
        let form = *pick(rng, &[usual, usual, usual, usual, usual, Form::Uncompressed, Form::Hybrid]);
        let form = if tapscript && form != usual && rng.gen_bool(0.7) { usual } else { form };
        match rng.gen_range(0..60) {
            0 => Vec::new(),
            1 => bytes(rng, 32),
            2 => {
                let length = rng.gen_range(1..70);
                bytes(rng, length)
            }
            _ => KEYS[key].written(form),
        }
    }

    fn signature(&mut self, rng: &mut StdRng) {
        match rng.gen_range(0..8) {
            0 => {
                self.check_key(rng, OP_CHECKSIG);
                self.op(OP_VERIFY);
            }
            1 => self.failing_signature(rng),
            2 => self.repeated_signature(rng),
            _ => self.check_key(rng, OP_CHECKSIGVERIFY),
        }
    }

    /// The same signature checked again and again: what it costs adds up.
    fn repeated_signature(&mut self, rng: &mut StdRng) {
        let key = rng.gen_range(0..KEYS.len());
        let checks = self.want_signature(key);
        let written = self.written_key(rng, key);
        self.push(&written);
        for _ in 0..rng.gen_range(0..8) {
            self.op(OP_2DUP);
            self.op(OP_CHECKSIGVERIFY);
        }
        self.token(vec![OP_CHECKSIGVERIFY.0], checks);
    }

    /// A check that is meant to fail without failing the script.
    fn failing_signature(&mut self, rng: &mut StdRng) {
        let signature = match rng.gen_range(0..4) {
            0 => bytes(rng, 64),
            1 => vec![0x30, 6, 2, 1, 1, 2, 1, 1, 1],
            _ => Vec::new(),
        };
        self.want(signature);
        let key = self.written_key(rng, 0);
        self.push(&key);
        self.op(OP_CHECKSIG);
        self.op(OP_NOT);
        self.op(OP_VERIFY);
    }

    fn many_signatures(&mut self, rng: &mut StdRng) {
        if self.generation == Generation::Tapscript && rng.gen_bool(0.97) {
            self.check_sig_add(rng)
        } else {
            self.check_multisig(rng)
        }
    }

    fn check_sig_add(&mut self, rng: &mut StdRng) {
        let keys = rng.gen_range(1..5);
        self.number(0);
        let mut signed = 0;
        for _ in 0..keys {
            if rng.gen_bool(0.7) {
                self.check_key(rng, OP_CHECKSIGADD);
                signed += 1;
            } else {
                self.want(Vec::new());
                let key = self.written_key(rng, 1);
                self.push(&key);
                self.op(OP_CHECKSIGADD);
            }
        }
        self.number(if rng.gen_bool(0.95) { signed } else { 1 });
        self.op(OP_NUMEQUALVERIFY);
    }

    fn check_multisig(&mut self, rng: &mut StdRng) {
        let count = *pick(rng, &[0, 1, 2, 3, 3, 5, 20, 21]);
        let mut keys: Vec<usize> = (0..count).map(|_| rng.gen_range(0..KEYS.len())).collect();
        let mut signers: Vec<usize> = keys.iter().copied().filter(|_| rng.gen_bool(0.5)).collect();
        if rng.gen_bool(0.1) {
            signers.reverse();
        }
        // Consumed from the top: the last signer's signature first, the dummy last.
        let checks: Vec<usize> = signers.iter().rev().flat_map(|key| self.want_signature(*key)).collect();
        let dummy = if rng.gen_bool(0.9) { Vec::new() } else { vec![1] };
        self.want(dummy);
        self.number(signers.len() as i64);
        for key in keys.drain(..) {
            let written = self.written_key(rng, key);
            self.push(&written);
        }
        self.number(count);
        if rng.gen_bool(0.5) {
            self.token(vec![OP_CHECKMULTISIGVERIFY.0], checks);
        } else {
            self.token(vec![OP_CHECKMULTISIG.0], checks);
            self.op(OP_VERIFY);
        }
    }

    fn preimage(&mut self, rng: &mut StdRng) {
        let length = *pick(rng, &[0, 1, 8, 31, 32, 33, 55, 56, 64, 80, 520]);
        let item = bytes(rng, length);
        let (opcode, hash) = match rng.gen_range(0..6) {
            0 => (OP_RIPEMD160, ripemd160::Hash::hash(&item).to_byte_array().to_vec()),
            1 => (OP_SHA1, sha1::Hash::hash(&item).to_byte_array().to_vec()),
            2 => (OP_SHA256, sha256::Hash::hash(&item).to_byte_array().to_vec()),
            3 => (OP_HASH160, hash160::Hash::hash(&item).to_byte_array().to_vec()),
            4 => (OP_HASH256, sha256d::Hash::hash(&item).to_byte_array().to_vec()),
            _ => (OP_NOP, item.clone()),
        };
        self.want(item);
        self.op(opcode);
        self.push(&hash);
        if rng.gen_bool(0.7) {
            self.op(OP_EQUALVERIFY);
        } else {
            self.op(OP_EQUAL);
            self.op(OP_VERIFY);
        }
    }

    fn lock_time(&mut self, rng: &mut StdRng) {
        let opcode = *pick(rng, &[OP_CHECKLOCKTIMEVERIFY, OP_CHECKSEQUENCEVERIFY]);
        let times = [0, 1, 2, 126, 127, 499_999_999, 500_000_000, 1 << 22, 1 << 31, 0xffff_ffff, 1 << 39, -1];
        let near = rng.gen_bool(0.7);
        let time = *pick(rng, if near { &times[..3] } else { &times });
        self.number(time);
        self.op(opcode);
        self.op(OP_DROP);
    }

    fn branches(&mut self, rng: &mut StdRng, depth: u32) {
        let first = rng.gen_bool(0.5);
        let inverted = rng.gen_bool(0.5);
        let chosen = match (first != inverted, rng.gen_range(0..12)) {
            (true, 0) => vec![2],
            (true, 1) => vec![1, 0],
            (false, 0) => vec![0],
            (false, 1) => vec![0x80],
            (value, _) => number::of_bool(value),
        };
        self.want(chosen);
        self.op(if inverted { OP_NOTIF } else { OP_IF });
        let outer = self.taken;
        self.taken = outer && first;
        self.piece(rng, depth + 1);
        self.taken = outer;
        if !first || rng.gen_bool(0.5) {
            self.op(OP_ELSE);
            self.taken = outer && !first;
            self.piece(rng, depth + 1);
            self.taken = outer;
        }
        if rng.gen_bool(0.98) {
            self.op(OP_ENDIF);
        }
    }

    fn arithmetic(&mut self, rng: &mut StdRng) {
        let (a, b) = (operand(rng), operand(rng));
        let (opcode, result) = match rng.gen_range(0..12) {
            0 => (OP_ADD, a + b),
            1 => (OP_SUB, a - b),
            2 => (OP_BOOLAND, i64::from(a != 0 && b != 0)),
            3 => (OP_BOOLOR, i64::from(a != 0 || b != 0)),
            4 => (OP_NUMEQUAL, i64::from(a == b)),
            5 => (OP_NUMNOTEQUAL, i64::from(a != b)),
            6 => (OP_LESSTHAN, i64::from(a < b)),
            7 => (OP_GREATERTHAN, i64::from(a > b)),
            8 => (OP_LESSTHANOREQUAL, i64::from(a <= b)),
            9 => (OP_MIN, a.min(b)),
            10 => (OP_MAX, a.max(b)),
            _ => return self.unary(rng, a),
        };
        self.padded(rng, a);
        self.padded(rng, b);
        self.op(opcode);
        self.push(&number::encode(result));
        self.op(OP_EQUALVERIFY);
    }

    fn unary(&mut self, rng: &mut StdRng, a: i64) {
        let choices = [
            (OP_1ADD, a + 1),
            (OP_1SUB, a - 1),
            (OP_NEGATE, -a),
            (OP_ABS, a.abs()),
            (OP_NOT, i64::from(a == 0)),
            (OP_0NOTEQUAL, i64::from(a != 0)),
        ];
        let (opcode, result) = *pick(rng, &choices);
        self.padded(rng, a);
        self.op(opcode);
        self.push(&number::encode(result));
        self.op(OP_EQUALVERIFY);
    }

    /// A number, now and then with bytes that it does not need.
    fn padded(&mut self, rng: &mut StdRng, number: i64) {
        let mut bytes = number::encode(number);
        if rng.gen_bool(0.1) && bytes.len() < 4 {
            let sign = bytes.last_mut().map_or(0, |last| {
                let sign = *last & 0x80;
                *last &= 0x7f;
                sign
            });
            bytes.push(sign);
        }
        self.push(&bytes);
    }

    /// Moves a few numbers about and says what must come out, by a model of its own.
    fn shuffle(&mut self, rng: &mut StdRng) {
        let mut model: Vec<i64> = (1..=6).collect();
        model.iter().for_each(|number| self.number(*number));
        for _ in 0..rng.gen_range(1..6) {
            self.move_about(rng, &mut model);
        }
        for number in model.iter().rev() {
            self.number(*number);
            self.op(OP_NUMEQUALVERIFY);
        }
    }

    fn move_about(&mut self, rng: &mut StdRng, model: &mut Vec<i64>) {
        let top = model.len();
        if top < 6 {
            return;
        }
        let opcode = *pick(
            rng,
            &[
                OP_DUP, OP_2DUP, OP_3DUP, OP_OVER, OP_2OVER, OP_SWAP, OP_2SWAP, OP_ROT, OP_2ROT, OP_TUCK,
                OP_NIP, OP_DROP, OP_2DROP, OP_IFDUP, OP_PICK, OP_ROLL,
            ],
        );
        match opcode {
            OP_DUP | OP_IFDUP => model.push(model[top - 1]),
            OP_2DUP => model.extend_from_within(top - 2..),
            OP_3DUP => model.extend_from_within(top - 3..),
            OP_OVER => model.push(model[top - 2]),
            OP_2OVER => model.extend_from_within(top - 4..top - 2),
            OP_SWAP => model.swap(top - 1, top - 2),
            OP_2SWAP => model[top - 4..].rotate_left(2),
            OP_ROT => model[top - 3..].rotate_left(1),
            OP_2ROT => model[top - 6..].rotate_left(2),
            OP_TUCK => model.insert(top - 2, model[top - 1]),
            OP_NIP => drop(model.remove(top - 2)),
            OP_DROP => model.truncate(top - 1),
            OP_2DROP => model.truncate(top - 2),
            _ => {
                let depth = rng.gen_range(0..top);
                self.number(depth as i64);
                let item = model[top - 1 - depth];
                if opcode == OP_ROLL {
                    model.remove(top - 1 - depth);
                }
                model.push(item);
            }
        }
        self.op(opcode);
    }

    fn sizes(&mut self, rng: &mut StdRng) {
        let length = *pick(rng, &[0, 1, 75, 76, 255, 256, 519, 520, 520, 521]);
        let item = bytes(rng, length);
        match rng.gen_range(0..3) {
            0 => self.raw(&[&[OP_PUSHDATA2.0][..], &(length as u16).to_le_bytes(), &item].concat()),
            1 => self.raw(&[&[OP_PUSHDATA4.0][..], &(length as u32).to_le_bytes(), &item].concat()),
            _ => self.push(&item),
        }
        self.op(OP_SIZE);
        self.number(length as i64);
        self.op(OP_EQUALVERIFY);
        self.op(OP_DROP);
    }

    fn alt_stack(&mut self, rng: &mut StdRng) {
        self.number(rng.gen_range(0..17));
        self.op(OP_TOALTSTACK);
        if rng.gen_bool(0.8) {
            self.piece(rng, 4);
        }
        self.op(OP_FROMALTSTACK);
        self.op(OP_DROP);
    }

    /// Close to where a limit is: items on the stack, operations, the script's size.
    fn limits(&mut self, rng: &mut StdRng) {
        match rng.gen_range(0..3) {
            0 => {
                let items = rng.gen_range(985..1003);
                (0..items).for_each(|_| self.number(1));
                (0..items / 2).for_each(|_| self.op(OP_2DROP));
                (0..items % 2).for_each(|_| self.op(OP_DROP));
            }
            1 => (0..rng.gen_range(180..203)).for_each(|_| self.op(OP_NOP)),
            _ => {
                for _ in 0..rng.gen_range(18..20) {
                    let item = bytes(rng, 510);
                    self.push(&item);
                    self.op(OP_DROP);
                }
            }
        }
    }

    /// Any bytes at all.
    fn junk(&mut self, rng: &mut StdRng) {
        for _ in 0..rng.gen_range(1..4) {
            let opcode = Opcode(rng.r#gen());
            if opcode.is_data_push() {
                self.op(OP_DUP);
            } else {
                self.op(opcode);
            }
        }
    }

    /// What is not executed counts nevertheless, in a few ways.
    fn not_taken(&mut self, rng: &mut StdRng) {
        self.number(0);
        self.op(OP_IF);
        let outer = self.taken;
        self.taken = false;
        self.junk(rng);
        let length = *pick(rng, &[3, 520, 521]);
        let item = bytes(rng, length);
        self.push(&item);
        self.taken = outer;
        self.op(OP_ENDIF);
    }
}

/// Near where sizes and signs change, and now and then beyond what arithmetic takes.
fn operand(rng: &mut StdRng) -> i64 {
    let random = i64::from(rng.r#gen::<i32>());
    let edges =
        [0, 1, -1, 2, 16, 17, 127, 128, -127, -128, 255, 256, 32_767, 32_768, 8_388_607, 8_388_608, random];
    let far = [2_147_483_647, -2_147_483_647, 2_147_483_648, -2_147_483_648, 4_294_967_295];
    if rng.gen_bool(0.95) { *pick(rng, &edges) } else { *pick(rng, &far) }
}
