//! Scripts as text.

use keyway_script::asm::{AsmError, assemble, disassemble};
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_script_has_a_text_that_gives_it_back(script in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = disassemble(&script);
        prop_assert_eq!(assemble(&text).unwrap().into_bytes(), script, "{}", text);
    }

    #[test]
    fn no_text_makes_the_assembler_panic(text in "[ -~]{0,60}") {
        let _ = assemble(&text);
    }
}

#[test]
fn each_kind_of_word_stands_for_its_bytes() {
    let cases: &[(&str, &[u8])] = &[
        ("DUP OP_DUP", &[0x76, 0x76]),
        ("0 1 16 -1", &[0x00, 0x51, 0x60, 0x4f]),
        ("17 -2 1000", &[1, 17, 1, 0x82, 2, 0xe8, 0x03]),
        ("4294967295", &[5, 0xff, 0xff, 0xff, 0xff, 0]),
        ("<> <aabb>", &[0x00, 2, 0xaa, 0xbb]),
        ("'ab'", &[2, b'a', b'b']),
        ("0x4c01ff", &[0x4c, 0x01, 0xff]),
        ("CHECKSIGADD\n", &[0xba]),
        ("", &[]),
    ];
    for (text, bytes) in cases {
        assert_eq!(assemble(text).unwrap().as_bytes(), *bytes, "{text}");
    }
}

#[test]
fn a_word_that_is_none_is_named() {
    let error = |text| assemble(text).unwrap_err();
    assert_eq!(error("OP_DUP OP_FOO"), AsmError::Unknown("OP_FOO".into()));
    assert_eq!(error("<abc>"), AsmError::NotHex("abc".into()));
    assert_eq!(error("4294967296"), AsmError::OutOfRange("4294967296".into()));
    assert_eq!(error("-9223372036854775808"), AsmError::OutOfRange("-9223372036854775808".into()));
    assert_eq!(error("PUSHDATA1"), AsmError::NeedsBytes("PUSHDATA1".into()));
}

#[test]
fn pushes_that_are_longer_than_need_be_are_shown_as_their_bytes() {
    assert_eq!(disassemble(&[0x4c, 0x01, 0xff, 0x76]), "0x4c01ff OP_DUP");
    assert_eq!(disassemble(&[0x76, 0x02, 0xff]), "OP_DUP 0x02ff");
    assert_eq!(disassemble(&[0x00, 0x51, 0x01, 0x05]), "OP_0 OP_1 <05>");
}
