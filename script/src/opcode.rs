//! Opcodes and their names, as in Bitcoin Core. What each does stands in `machine`.
#![allow(missing_docs, reason = "an opcode's name says what Bitcoin's documentation says of it")]

use std::fmt;

/// One byte of a script that says what to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u8);

impl Opcode {
    /// The opcode of that name, with `OP_` or without.
    pub fn named(name: &str) -> Option<Self> {
        let matches = |known: &str| known == name || known.strip_prefix("OP_") == Some(name);
        NAMES.iter().find(|(_, known)| matches(known)).map(|(opcode, _)| *opcode)
    }

    /// Its name, if it has one: pushes of 1 to 75 bytes and unassigned opcodes have none.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(opcode, _)| *opcode == self).map(|(_, name)| *name)
    }

    /// Whether it pushes, by Bitcoin Core's count: OP_RESERVED does.
    pub fn is_push(self) -> bool {
        self <= OP_16
    }

    /// Whether data follows it in the script.
    pub fn is_data_push(self) -> bool {
        self <= OP_PUSHDATA4
    }

    /// Whether a tapscript that contains it succeeds as a whole (BIP342).
    pub fn is_success(self) -> bool {
        matches!(self.0, 80 | 98 | 126..=129 | 131..=134 | 137..=138 | 141..=142 | 149..=153 | 187..=254)
    }

    /// Whether it was switched off in 2010 and fails a script even where it is not executed.
    pub fn is_disabled(self) -> bool {
        matches!(self.0, 126..=129 | 131..=134 | 141..=142 | 149..=153)
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None if self.is_data_push() => write!(f, "push of {} bytes", self.0),
            None => write!(f, "0x{:02x}", self.0),
        }
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub const OP_0: Opcode = Opcode(0x00);
pub const OP_PUSHDATA1: Opcode = Opcode(0x4c);
pub const OP_PUSHDATA2: Opcode = Opcode(0x4d);
pub const OP_PUSHDATA4: Opcode = Opcode(0x4e);
pub const OP_1NEGATE: Opcode = Opcode(0x4f);
pub const OP_RESERVED: Opcode = Opcode(0x50);
pub const OP_1: Opcode = Opcode(0x51);
pub const OP_2: Opcode = Opcode(0x52);
pub const OP_3: Opcode = Opcode(0x53);
pub const OP_4: Opcode = Opcode(0x54);
pub const OP_5: Opcode = Opcode(0x55);
pub const OP_6: Opcode = Opcode(0x56);
pub const OP_7: Opcode = Opcode(0x57);
pub const OP_8: Opcode = Opcode(0x58);
pub const OP_9: Opcode = Opcode(0x59);
pub const OP_10: Opcode = Opcode(0x5a);
pub const OP_11: Opcode = Opcode(0x5b);
pub const OP_12: Opcode = Opcode(0x5c);
pub const OP_13: Opcode = Opcode(0x5d);
pub const OP_14: Opcode = Opcode(0x5e);
pub const OP_15: Opcode = Opcode(0x5f);
pub const OP_16: Opcode = Opcode(0x60);
pub const OP_NOP: Opcode = Opcode(0x61);
pub const OP_VER: Opcode = Opcode(0x62);
pub const OP_IF: Opcode = Opcode(0x63);
pub const OP_NOTIF: Opcode = Opcode(0x64);
pub const OP_VERIF: Opcode = Opcode(0x65);
pub const OP_VERNOTIF: Opcode = Opcode(0x66);
pub const OP_ELSE: Opcode = Opcode(0x67);
pub const OP_ENDIF: Opcode = Opcode(0x68);
pub const OP_VERIFY: Opcode = Opcode(0x69);
pub const OP_RETURN: Opcode = Opcode(0x6a);
pub const OP_TOALTSTACK: Opcode = Opcode(0x6b);
pub const OP_FROMALTSTACK: Opcode = Opcode(0x6c);
pub const OP_2DROP: Opcode = Opcode(0x6d);
pub const OP_2DUP: Opcode = Opcode(0x6e);
pub const OP_3DUP: Opcode = Opcode(0x6f);
pub const OP_2OVER: Opcode = Opcode(0x70);
pub const OP_2ROT: Opcode = Opcode(0x71);
pub const OP_2SWAP: Opcode = Opcode(0x72);
pub const OP_IFDUP: Opcode = Opcode(0x73);
pub const OP_DEPTH: Opcode = Opcode(0x74);
pub const OP_DROP: Opcode = Opcode(0x75);
pub const OP_DUP: Opcode = Opcode(0x76);
pub const OP_NIP: Opcode = Opcode(0x77);
pub const OP_OVER: Opcode = Opcode(0x78);
pub const OP_PICK: Opcode = Opcode(0x79);
pub const OP_ROLL: Opcode = Opcode(0x7a);
pub const OP_ROT: Opcode = Opcode(0x7b);
pub const OP_SWAP: Opcode = Opcode(0x7c);
pub const OP_TUCK: Opcode = Opcode(0x7d);
pub const OP_CAT: Opcode = Opcode(0x7e);
pub const OP_SUBSTR: Opcode = Opcode(0x7f);
pub const OP_LEFT: Opcode = Opcode(0x80);
pub const OP_RIGHT: Opcode = Opcode(0x81);
pub const OP_SIZE: Opcode = Opcode(0x82);
pub const OP_INVERT: Opcode = Opcode(0x83);
pub const OP_AND: Opcode = Opcode(0x84);
pub const OP_OR: Opcode = Opcode(0x85);
pub const OP_XOR: Opcode = Opcode(0x86);
pub const OP_EQUAL: Opcode = Opcode(0x87);
pub const OP_EQUALVERIFY: Opcode = Opcode(0x88);
pub const OP_RESERVED1: Opcode = Opcode(0x89);
pub const OP_RESERVED2: Opcode = Opcode(0x8a);
pub const OP_1ADD: Opcode = Opcode(0x8b);
pub const OP_1SUB: Opcode = Opcode(0x8c);
pub const OP_2MUL: Opcode = Opcode(0x8d);
pub const OP_2DIV: Opcode = Opcode(0x8e);
pub const OP_NEGATE: Opcode = Opcode(0x8f);
pub const OP_ABS: Opcode = Opcode(0x90);
pub const OP_NOT: Opcode = Opcode(0x91);
pub const OP_0NOTEQUAL: Opcode = Opcode(0x92);
pub const OP_ADD: Opcode = Opcode(0x93);
pub const OP_SUB: Opcode = Opcode(0x94);
pub const OP_MUL: Opcode = Opcode(0x95);
pub const OP_DIV: Opcode = Opcode(0x96);
pub const OP_MOD: Opcode = Opcode(0x97);
pub const OP_LSHIFT: Opcode = Opcode(0x98);
pub const OP_RSHIFT: Opcode = Opcode(0x99);
pub const OP_BOOLAND: Opcode = Opcode(0x9a);
pub const OP_BOOLOR: Opcode = Opcode(0x9b);
pub const OP_NUMEQUAL: Opcode = Opcode(0x9c);
pub const OP_NUMEQUALVERIFY: Opcode = Opcode(0x9d);
pub const OP_NUMNOTEQUAL: Opcode = Opcode(0x9e);
pub const OP_LESSTHAN: Opcode = Opcode(0x9f);
pub const OP_GREATERTHAN: Opcode = Opcode(0xa0);
pub const OP_LESSTHANOREQUAL: Opcode = Opcode(0xa1);
pub const OP_GREATERTHANOREQUAL: Opcode = Opcode(0xa2);
pub const OP_MIN: Opcode = Opcode(0xa3);
pub const OP_MAX: Opcode = Opcode(0xa4);
pub const OP_WITHIN: Opcode = Opcode(0xa5);
pub const OP_RIPEMD160: Opcode = Opcode(0xa6);
pub const OP_SHA1: Opcode = Opcode(0xa7);
pub const OP_SHA256: Opcode = Opcode(0xa8);
pub const OP_HASH160: Opcode = Opcode(0xa9);
pub const OP_HASH256: Opcode = Opcode(0xaa);
pub const OP_CODESEPARATOR: Opcode = Opcode(0xab);
pub const OP_CHECKSIG: Opcode = Opcode(0xac);
pub const OP_CHECKSIGVERIFY: Opcode = Opcode(0xad);
pub const OP_CHECKMULTISIG: Opcode = Opcode(0xae);
pub const OP_CHECKMULTISIGVERIFY: Opcode = Opcode(0xaf);
pub const OP_NOP1: Opcode = Opcode(0xb0);
pub const OP_CHECKLOCKTIMEVERIFY: Opcode = Opcode(0xb1);
pub const OP_CHECKSEQUENCEVERIFY: Opcode = Opcode(0xb2);
pub const OP_NOP4: Opcode = Opcode(0xb3);
pub const OP_NOP5: Opcode = Opcode(0xb4);
pub const OP_NOP6: Opcode = Opcode(0xb5);
pub const OP_NOP7: Opcode = Opcode(0xb6);
pub const OP_NOP8: Opcode = Opcode(0xb7);
pub const OP_NOP9: Opcode = Opcode(0xb8);
pub const OP_NOP10: Opcode = Opcode(0xb9);
pub const OP_CHECKSIGADD: Opcode = Opcode(0xba);
/// Modular exponentiation: `docs/OP_EXPONENT.md`. An OP_SUCCESS to whoever does not know it.
pub const OP_EXPONENT: Opcode = Opcode(0xee);

const NAMES: &[(Opcode, &str)] = &[
    (OP_0, "OP_0"),
    (OP_PUSHDATA1, "OP_PUSHDATA1"),
    (OP_PUSHDATA2, "OP_PUSHDATA2"),
    (OP_PUSHDATA4, "OP_PUSHDATA4"),
    (OP_1NEGATE, "OP_1NEGATE"),
    (OP_RESERVED, "OP_RESERVED"),
    (OP_1, "OP_1"),
    (OP_2, "OP_2"),
    (OP_3, "OP_3"),
    (OP_4, "OP_4"),
    (OP_5, "OP_5"),
    (OP_6, "OP_6"),
    (OP_7, "OP_7"),
    (OP_8, "OP_8"),
    (OP_9, "OP_9"),
    (OP_10, "OP_10"),
    (OP_11, "OP_11"),
    (OP_12, "OP_12"),
    (OP_13, "OP_13"),
    (OP_14, "OP_14"),
    (OP_15, "OP_15"),
    (OP_16, "OP_16"),
    (OP_NOP, "OP_NOP"),
    (OP_VER, "OP_VER"),
    (OP_IF, "OP_IF"),
    (OP_NOTIF, "OP_NOTIF"),
    (OP_VERIF, "OP_VERIF"),
    (OP_VERNOTIF, "OP_VERNOTIF"),
    (OP_ELSE, "OP_ELSE"),
    (OP_ENDIF, "OP_ENDIF"),
    (OP_VERIFY, "OP_VERIFY"),
    (OP_RETURN, "OP_RETURN"),
    (OP_TOALTSTACK, "OP_TOALTSTACK"),
    (OP_FROMALTSTACK, "OP_FROMALTSTACK"),
    (OP_2DROP, "OP_2DROP"),
    (OP_2DUP, "OP_2DUP"),
    (OP_3DUP, "OP_3DUP"),
    (OP_2OVER, "OP_2OVER"),
    (OP_2ROT, "OP_2ROT"),
    (OP_2SWAP, "OP_2SWAP"),
    (OP_IFDUP, "OP_IFDUP"),
    (OP_DEPTH, "OP_DEPTH"),
    (OP_DROP, "OP_DROP"),
    (OP_DUP, "OP_DUP"),
    (OP_NIP, "OP_NIP"),
    (OP_OVER, "OP_OVER"),
    (OP_PICK, "OP_PICK"),
    (OP_ROLL, "OP_ROLL"),
    (OP_ROT, "OP_ROT"),
    (OP_SWAP, "OP_SWAP"),
    (OP_TUCK, "OP_TUCK"),
    (OP_CAT, "OP_CAT"),
    (OP_SUBSTR, "OP_SUBSTR"),
    (OP_LEFT, "OP_LEFT"),
    (OP_RIGHT, "OP_RIGHT"),
    (OP_SIZE, "OP_SIZE"),
    (OP_INVERT, "OP_INVERT"),
    (OP_AND, "OP_AND"),
    (OP_OR, "OP_OR"),
    (OP_XOR, "OP_XOR"),
    (OP_EQUAL, "OP_EQUAL"),
    (OP_EQUALVERIFY, "OP_EQUALVERIFY"),
    (OP_RESERVED1, "OP_RESERVED1"),
    (OP_RESERVED2, "OP_RESERVED2"),
    (OP_1ADD, "OP_1ADD"),
    (OP_1SUB, "OP_1SUB"),
    (OP_2MUL, "OP_2MUL"),
    (OP_2DIV, "OP_2DIV"),
    (OP_NEGATE, "OP_NEGATE"),
    (OP_ABS, "OP_ABS"),
    (OP_NOT, "OP_NOT"),
    (OP_0NOTEQUAL, "OP_0NOTEQUAL"),
    (OP_ADD, "OP_ADD"),
    (OP_SUB, "OP_SUB"),
    (OP_MUL, "OP_MUL"),
    (OP_DIV, "OP_DIV"),
    (OP_MOD, "OP_MOD"),
    (OP_LSHIFT, "OP_LSHIFT"),
    (OP_RSHIFT, "OP_RSHIFT"),
    (OP_BOOLAND, "OP_BOOLAND"),
    (OP_BOOLOR, "OP_BOOLOR"),
    (OP_NUMEQUAL, "OP_NUMEQUAL"),
    (OP_NUMEQUALVERIFY, "OP_NUMEQUALVERIFY"),
    (OP_NUMNOTEQUAL, "OP_NUMNOTEQUAL"),
    (OP_LESSTHAN, "OP_LESSTHAN"),
    (OP_GREATERTHAN, "OP_GREATERTHAN"),
    (OP_LESSTHANOREQUAL, "OP_LESSTHANOREQUAL"),
    (OP_GREATERTHANOREQUAL, "OP_GREATERTHANOREQUAL"),
    (OP_MIN, "OP_MIN"),
    (OP_MAX, "OP_MAX"),
    (OP_WITHIN, "OP_WITHIN"),
    (OP_RIPEMD160, "OP_RIPEMD160"),
    (OP_SHA1, "OP_SHA1"),
    (OP_SHA256, "OP_SHA256"),
    (OP_HASH160, "OP_HASH160"),
    (OP_HASH256, "OP_HASH256"),
    (OP_CODESEPARATOR, "OP_CODESEPARATOR"),
    (OP_CHECKSIG, "OP_CHECKSIG"),
    (OP_CHECKSIGVERIFY, "OP_CHECKSIGVERIFY"),
    (OP_CHECKMULTISIG, "OP_CHECKMULTISIG"),
    (OP_CHECKMULTISIGVERIFY, "OP_CHECKMULTISIGVERIFY"),
    (OP_NOP1, "OP_NOP1"),
    (OP_CHECKLOCKTIMEVERIFY, "OP_CHECKLOCKTIMEVERIFY"),
    (OP_CHECKSEQUENCEVERIFY, "OP_CHECKSEQUENCEVERIFY"),
    (OP_NOP4, "OP_NOP4"),
    (OP_NOP5, "OP_NOP5"),
    (OP_NOP6, "OP_NOP6"),
    (OP_NOP7, "OP_NOP7"),
    (OP_NOP8, "OP_NOP8"),
    (OP_NOP9, "OP_NOP9"),
    (OP_NOP10, "OP_NOP10"),
    (OP_CHECKSIGADD, "OP_CHECKSIGADD"),
    (OP_EXPONENT, "OP_EXPONENT"),
];
