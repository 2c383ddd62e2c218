//! Errors, flags and opcodes by name.

use std::collections::HashSet;

use keyway_script::opcode::Opcode;
use keyway_script::{Flags, ScriptError, UnknownFlag};

#[test]
fn every_error_has_a_name_of_its_own() {
    let names: HashSet<&str> = ScriptError::all().iter().map(|(_, name)| *name).collect();
    assert_eq!(names.len(), ScriptError::all().len());
    for (error, name) in ScriptError::all() {
        assert_eq!((error.name(), ScriptError::named(name)), (*name, Some(*error)));
    }
    assert_eq!(ScriptError::named("OK"), None);
}

#[test]
fn flags_are_read_as_they_are_written() {
    for flags in [Flags::NONE, Flags::CONSENSUS, Flags::STANDARD] {
        assert_eq!(flags.to_string().parse(), Ok(flags));
        assert_eq!(Flags::from_bits(flags.bits()), flags);
    }
    assert_eq!("P2SH, WITNESS".parse(), Ok(Flags::P2SH | Flags::WITNESS));
    assert_eq!("".parse(), Ok(Flags::NONE));
    assert_eq!("P2SH,SEGWIT".parse::<Flags>(), Err(UnknownFlag("SEGWIT".into())));
}

#[test]
fn a_rule_brings_along_the_rules_that_it_needs() {
    assert_eq!(Flags::WITNESS.with_implied(), Flags::WITNESS | Flags::P2SH);
    assert_eq!(Flags::CLEANSTACK.with_implied(), Flags::CLEANSTACK | Flags::WITNESS | Flags::P2SH);
    assert_eq!(Flags::TAPROOT.with_implied(), Flags::TAPROOT);
}

#[test]
fn opcodes_are_known_by_the_names_of_bitcoin_core() {
    for byte in 0..=255 {
        let opcode = Opcode(byte);
        if let Some(name) = opcode.name() {
            assert_eq!(Opcode::named(name), Some(opcode));
            assert_eq!(Opcode::named(name.strip_prefix("OP_").unwrap()), Some(opcode));
        }
    }
    assert_eq!(Opcode(0xb1).to_string(), "OP_CHECKLOCKTIMEVERIFY");
    assert_eq!(Opcode(0xff).to_string(), "0xff");
}
