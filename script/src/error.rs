//! Why a script fails, by Bitcoin Core's names.

/// Why an input does not verify. [`ScriptError::name`] is the name that Bitcoin Core's vectors use, `Display` a
/// sentence for people. Each variant is the spender's fault (or the script author's); none is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence says what each is")]
pub enum ScriptError {
    #[error("the script ran through, but left a false or no value on top of the stack")]
    EvalFalse,
    #[error("OP_RETURN was executed")]
    OpReturn,
    #[error("the script is larger than 10,000 bytes")]
    ScriptSize,
    #[error("an item of the stack is larger than 520 bytes")]
    PushSize,
    #[error("the script has more than 201 operations")]
    OpCount,
    #[error("there are more than 1,000 items on the stacks")]
    StackSize,
    #[error("the number of signatures is negative or larger than that of the keys")]
    SigCount,
    #[error("the number of keys is negative or larger than 20")]
    PubkeyCount,
    #[error("OP_VERIFY found a false value")]
    Verify,
    #[error("OP_EQUALVERIFY found two different items")]
    EqualVerify,
    #[error("OP_CHECKMULTISIGVERIFY found a signature that does not verify")]
    CheckMultisigVerify,
    #[error("OP_CHECKSIGVERIFY found a signature that does not verify")]
    CheckSigVerify,
    #[error("OP_NUMEQUALVERIFY found two different numbers")]
    NumEqualVerify,
    #[error("an opcode is unknown here, or the script ends within a push")]
    BadOpcode,
    #[error("the script has a disabled opcode")]
    DisabledOpcode,
    #[error("the stack holds fewer items than the operation takes")]
    InvalidStackOperation,
    #[error("the alternative stack is empty")]
    InvalidAltstackOperation,
    #[error("OP_IF, OP_ELSE and OP_ENDIF do not match")]
    UnbalancedConditional,
    #[error("a lock time is negative")]
    NegativeLocktime,
    #[error("the transaction does not satisfy the lock time")]
    UnsatisfiedLocktime,
    #[error("a signature's last byte names no kind of signature")]
    SigHashtype,
    #[error("a signature is not strict DER")]
    SigDer,
    #[error("a push is longer than it need be")]
    MinimalData,
    #[error("scriptSig has operations other than pushes")]
    SigPushOnly,
    #[error("a signature's S is in the upper half")]
    SigHighS,
    #[error("the extra item that OP_CHECKMULTISIG takes is not empty")]
    SigNullDummy,
    #[error("a key is neither compressed nor uncompressed")]
    PubkeyType,
    #[error("the stack does not hold exactly one item at the end")]
    CleanStack,
    #[error("the argument of OP_IF or OP_NOTIF is neither empty nor 1")]
    MinimalIf,
    #[error("a signature that does not verify is not empty")]
    SigNullFail,
    #[error("a number is longer than it may be, or than it need be")]
    ScriptNum,
    #[error("OP_NOP1 and OP_NOP4 to OP_NOP10 are kept for upgrades")]
    DiscourageUpgradableNops,
    #[error("this version of witness program is kept for upgrades")]
    DiscourageUpgradableWitnessProgram,
    #[error("this version of taproot leaf is kept for upgrades")]
    DiscourageUpgradableTaprootVersion,
    #[error("OP_SUCCESS opcodes are kept for upgrades")]
    DiscourageOpSuccess,
    #[error("this kind of tapscript key is kept for upgrades")]
    DiscourageUpgradablePubkeyType,
    #[error("a witness program of version 0 has 20 or 32 bytes")]
    WitnessProgramWrongLength,
    #[error("the witness is empty")]
    WitnessProgramWitnessEmpty,
    #[error("the witness is not what the program commits to")]
    WitnessProgramMismatch,
    #[error("scriptSig of a witness program must be empty")]
    WitnessMalleated,
    #[error("scriptSig of a wrapped witness program must be its push and nothing else")]
    WitnessMalleatedP2sh,
    #[error("there is a witness, and no witness program")]
    WitnessUnexpected,
    #[error("keys of segwit version 0 must be compressed")]
    WitnessPubkeyType,
    #[error("a Schnorr signature has 64 or 65 bytes")]
    SchnorrSigSize,
    #[error("a Schnorr signature's last byte names no kind of signature, or one this input cannot have")]
    SchnorrSigHashtype,
    #[error("a Schnorr signature does not verify")]
    SchnorrSig,
    #[error("the taproot control block has a wrong length")]
    TaprootWrongControlSize,
    #[error("the operations cost more than the weight that the witness pays for")]
    TapscriptValidationWeight,
    #[error("OP_CHECKMULTISIG and OP_CHECKMULTISIGVERIFY are not there in tapscript")]
    TapscriptCheckMultisig,
    #[error("the argument of OP_IF or OP_NOTIF in tapscript is neither empty nor 1")]
    TapscriptMinimalIf,
    #[error("a tapscript key is empty")]
    TapscriptEmptyPubkey,
    #[error("OP_CODESEPARATOR in a script that is no witness")]
    OpCodeSeparator,
    #[error("a signature occurs in the script that it signs")]
    SigFindAndDelete,
    #[error("an operand of OP_EXPONENT is longer than 512 bytes")]
    ExponentOperandSize,
    #[error("an operand of OP_EXPONENT begins with a zero byte")]
    ExponentLeadingZero,
    #[error("the modulus of OP_EXPONENT is even or less than 3")]
    ExponentModulus,
    #[error("the base of OP_EXPONENT is not less than the modulus")]
    ExponentBase,
}

impl ScriptError {
    /// The name in Bitcoin Core's vectors, or in `docs/OP_EXPONENT.md`.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(error, _)| *error == self).map_or("UNKNOWN_ERROR", |(_, name)| name)
    }

    /// The error of that name.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(error, _)| *error)
    }

    /// Every error there is, with its name.
    pub fn all() -> &'static [(Self, &'static str)] {
        NAMES
    }
}

const NAMES: &[(ScriptError, &str)] = &[
    (ScriptError::EvalFalse, "EVAL_FALSE"),
    (ScriptError::OpReturn, "OP_RETURN"),
    (ScriptError::ScriptSize, "SCRIPT_SIZE"),
    (ScriptError::PushSize, "PUSH_SIZE"),
    (ScriptError::OpCount, "OP_COUNT"),
    (ScriptError::StackSize, "STACK_SIZE"),
    (ScriptError::SigCount, "SIG_COUNT"),
    (ScriptError::PubkeyCount, "PUBKEY_COUNT"),
    (ScriptError::Verify, "VERIFY"),
    (ScriptError::EqualVerify, "EQUALVERIFY"),
    (ScriptError::CheckMultisigVerify, "CHECKMULTISIGVERIFY"),
    (ScriptError::CheckSigVerify, "CHECKSIGVERIFY"),
    (ScriptError::NumEqualVerify, "NUMEQUALVERIFY"),
    (ScriptError::BadOpcode, "BAD_OPCODE"),
    (ScriptError::DisabledOpcode, "DISABLED_OPCODE"),
    (ScriptError::InvalidStackOperation, "INVALID_STACK_OPERATION"),
    (ScriptError::InvalidAltstackOperation, "INVALID_ALTSTACK_OPERATION"),
    (ScriptError::UnbalancedConditional, "UNBALANCED_CONDITIONAL"),
    (ScriptError::NegativeLocktime, "NEGATIVE_LOCKTIME"),
    (ScriptError::UnsatisfiedLocktime, "UNSATISFIED_LOCKTIME"),
    (ScriptError::SigHashtype, "SIG_HASHTYPE"),
    (ScriptError::SigDer, "SIG_DER"),
    (ScriptError::MinimalData, "MINIMALDATA"),
    (ScriptError::SigPushOnly, "SIG_PUSHONLY"),
    (ScriptError::SigHighS, "SIG_HIGH_S"),
    (ScriptError::SigNullDummy, "SIG_NULLDUMMY"),
    (ScriptError::PubkeyType, "PUBKEYTYPE"),
    (ScriptError::CleanStack, "CLEANSTACK"),
    (ScriptError::MinimalIf, "MINIMALIF"),
    (ScriptError::SigNullFail, "NULLFAIL"),
    (ScriptError::ScriptNum, "SCRIPTNUM"),
    (ScriptError::DiscourageUpgradableNops, "DISCOURAGE_UPGRADABLE_NOPS"),
    (ScriptError::DiscourageUpgradableWitnessProgram, "DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM"),
    (ScriptError::DiscourageUpgradableTaprootVersion, "DISCOURAGE_UPGRADABLE_TAPROOT_VERSION"),
    (ScriptError::DiscourageOpSuccess, "DISCOURAGE_OP_SUCCESS"),
    (ScriptError::DiscourageUpgradablePubkeyType, "DISCOURAGE_UPGRADABLE_PUBKEYTYPE"),
    (ScriptError::WitnessProgramWrongLength, "WITNESS_PROGRAM_WRONG_LENGTH"),
    (ScriptError::WitnessProgramWitnessEmpty, "WITNESS_PROGRAM_WITNESS_EMPTY"),
    (ScriptError::WitnessProgramMismatch, "WITNESS_PROGRAM_MISMATCH"),
    (ScriptError::WitnessMalleated, "WITNESS_MALLEATED"),
    (ScriptError::WitnessMalleatedP2sh, "WITNESS_MALLEATED_P2SH"),
    (ScriptError::WitnessUnexpected, "WITNESS_UNEXPECTED"),
    (ScriptError::WitnessPubkeyType, "WITNESS_PUBKEYTYPE"),
    (ScriptError::SchnorrSigSize, "SCHNORR_SIG_SIZE"),
    (ScriptError::SchnorrSigHashtype, "SCHNORR_SIG_HASHTYPE"),
    (ScriptError::SchnorrSig, "SCHNORR_SIG"),
    (ScriptError::TaprootWrongControlSize, "TAPROOT_WRONG_CONTROL_SIZE"),
    (ScriptError::TapscriptValidationWeight, "TAPSCRIPT_VALIDATION_WEIGHT"),
    (ScriptError::TapscriptCheckMultisig, "TAPSCRIPT_CHECKMULTISIG"),
    (ScriptError::TapscriptMinimalIf, "TAPSCRIPT_MINIMALIF"),
    (ScriptError::TapscriptEmptyPubkey, "TAPSCRIPT_EMPTY_PUBKEY"),
    (ScriptError::OpCodeSeparator, "OP_CODESEPARATOR"),
    (ScriptError::SigFindAndDelete, "SIG_FINDANDDELETE"),
    (ScriptError::ExponentOperandSize, "EXPONENT_OPERAND_SIZE"),
    (ScriptError::ExponentLeadingZero, "EXPONENT_LEADING_ZERO"),
    (ScriptError::ExponentModulus, "EXPONENT_MODULUS"),
    (ScriptError::ExponentBase, "EXPONENT_BASE"),
];
