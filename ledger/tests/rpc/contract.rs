//! The contract that every backend keeps.

mod litecoin {
    use keyway_ledger::contract_tests;
    use keyway_ledger::testnode::Kind;

    use crate::harness::Fresh;

    contract_tests!(where there is one: Fresh::start(Kind::Litecoin));
}

/// Through an enforcer, which must not be noticed by those who need nothing of it.
#[cfg(feature = "exponent")]
mod enforced {
    use keyway_ledger::contract_tests;

    use crate::door::Before;

    contract_tests!(where there is one: Before::start());
}

mod bitcoin_core {
    use keyway_ledger::contract_tests;
    use keyway_ledger::testnode::Kind;

    use crate::harness::Fresh;

    contract_tests!(where there is one: Fresh::start(Kind::Bitcoin));
}
