//! Which rules are applied, by Bitcoin Core's names.

use std::fmt;
use std::ops::{BitOr, Sub};

/// A set of rules. All are soft forks: what verifies under more of them verifies under fewer.
///
/// The bits are those of Bitcoin Core's `script_verify_flag_name`; the highest is our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

#[allow(missing_docs, reason = "named and documented in Bitcoin Core's script/interpreter.h")]
impl Flags {
    pub const NONE: Self = Self(0);
    pub const P2SH: Self = Self(1 << 0);
    pub const STRICTENC: Self = Self(1 << 1);
    pub const DERSIG: Self = Self(1 << 2);
    pub const LOW_S: Self = Self(1 << 3);
    pub const NULLDUMMY: Self = Self(1 << 4);
    pub const SIGPUSHONLY: Self = Self(1 << 5);
    pub const MINIMALDATA: Self = Self(1 << 6);
    pub const DISCOURAGE_UPGRADABLE_NOPS: Self = Self(1 << 7);
    pub const CLEANSTACK: Self = Self(1 << 8);
    pub const CHECKLOCKTIMEVERIFY: Self = Self(1 << 9);
    pub const CHECKSEQUENCEVERIFY: Self = Self(1 << 10);
    pub const WITNESS: Self = Self(1 << 11);
    pub const DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM: Self = Self(1 << 12);
    pub const MINIMALIF: Self = Self(1 << 13);
    pub const NULLFAIL: Self = Self(1 << 14);
    pub const WITNESS_PUBKEYTYPE: Self = Self(1 << 15);
    pub const CONST_SCRIPTCODE: Self = Self(1 << 16);
    pub const TAPROOT: Self = Self(1 << 17);
    pub const DISCOURAGE_UPGRADABLE_TAPROOT_VERSION: Self = Self(1 << 18);
    pub const DISCOURAGE_OP_SUCCESS: Self = Self(1 << 19);
    pub const DISCOURAGE_UPGRADABLE_PUBKEYTYPE: Self = Self(1 << 20);
    /// OP_EXPONENT means what `docs/OP_EXPONENT.md` says; without it, it is the OP_SUCCESS that it is to Bitcoin Core.
    #[cfg(feature = "exponent")]
    pub const EXPONENT: Self = Self(1 << 31);
}

impl Flags {
    /// What blocks of today's Bitcoin are held to.
    pub const CONSENSUS: Self = Self(
        Self::P2SH.0
            | Self::DERSIG.0
            | Self::NULLDUMMY.0
            | Self::CHECKLOCKTIMEVERIFY.0
            | Self::CHECKSEQUENCEVERIFY.0
            | Self::WITNESS.0
            | Self::TAPROOT.0,
    );

    /// All of Bitcoin Core's: consensus and what its mempool asks beyond.
    pub const STANDARD: Self = Self((1 << 21) - 1);

    /// These rules and those.
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Whether all of these rules apply.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The bits, as Bitcoin Core numbers them.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The rules with these bits; bits that stand for none are left out.
    pub fn from_bits(bits: u32) -> Self {
        NAMES.iter().filter(|(flag, _)| bits & flag.0 != 0).fold(Self::NONE, |all, (flag, _)| all | *flag)
    }

    /// Each rule of the set with its name.
    pub fn iter(self) -> impl Iterator<Item = (Self, &'static str)> {
        NAMES.iter().copied().filter(move |(flag, _)| self.has(*flag))
    }

    /// The rule of that name.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(flag, _)| *flag)
    }

    /// With the rules without which others would be no soft fork: WITNESS needs P2SH, CLEANSTACK needs both.
    pub fn with_implied(self) -> Self {
        let cleanstack = if self.has(Self::CLEANSTACK) { Self::WITNESS } else { Self::NONE };
        let all = self | cleanstack;
        if all.has(Self::WITNESS) { all | Self::P2SH } else { all }
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl Sub for Flags {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(|(_, name)| name).collect();
        f.write_str(if names.is_empty() { "NONE" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

/// A word that names no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no flag {0}")]
pub struct UnknownFlag(pub String);

impl std::str::FromStr for Flags {
    type Err = UnknownFlag;

    /// Names with commas between, `NONE`, or nothing.
    fn from_str(text: &str) -> Result<Self, UnknownFlag> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "NONE");
        words
            .map(|word| Self::named(word).ok_or_else(|| UnknownFlag(word.to_owned())))
            .try_fold(Self::NONE, |all, flag| Ok(all | flag?))
    }
}

const NAMES: &[(Flags, &str)] = &[
    (Flags::P2SH, "P2SH"),
    (Flags::STRICTENC, "STRICTENC"),
    (Flags::DERSIG, "DERSIG"),
    (Flags::LOW_S, "LOW_S"),
    (Flags::NULLDUMMY, "NULLDUMMY"),
    (Flags::SIGPUSHONLY, "SIGPUSHONLY"),
    (Flags::MINIMALDATA, "MINIMALDATA"),
    (Flags::DISCOURAGE_UPGRADABLE_NOPS, "DISCOURAGE_UPGRADABLE_NOPS"),
    (Flags::CLEANSTACK, "CLEANSTACK"),
    (Flags::CHECKLOCKTIMEVERIFY, "CHECKLOCKTIMEVERIFY"),
    (Flags::CHECKSEQUENCEVERIFY, "CHECKSEQUENCEVERIFY"),
    (Flags::WITNESS, "WITNESS"),
    (Flags::DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM, "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"),
    (Flags::MINIMALIF, "MINIMALIF"),
    (Flags::NULLFAIL, "NULLFAIL"),
    (Flags::WITNESS_PUBKEYTYPE, "WITNESS_PUBKEYTYPE"),
    (Flags::CONST_SCRIPTCODE, "CONST_SCRIPTCODE"),
    (Flags::TAPROOT, "TAPROOT"),
    (Flags::DISCOURAGE_UPGRADABLE_TAPROOT_VERSION, "DISCOURAGE_UPGRADABLE_TAPROOT_VERSION"),
    (Flags::DISCOURAGE_OP_SUCCESS, "DISCOURAGE_OP_SUCCESS"),
    (Flags::DISCOURAGE_UPGRADABLE_PUBKEYTYPE, "DISCOURAGE_UPGRADABLE_PUBKEYTYPE"),
    #[cfg(feature = "exponent")]
    (Flags::EXPONENT, "EXPONENT"),
];
