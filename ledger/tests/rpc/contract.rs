//! The contract that every backend keeps.

mod litecoin {
    use keyway_ledger::contract_tests;
    use keyway_ledger::testnode::Kind;

    use crate::harness::Fresh;

    contract_tests!(where there is one: Fresh::start(Kind::Litecoin));
}

mod bitcoin_core {
    use keyway_ledger::contract_tests;
    use keyway_ledger::testnode::Kind;

    use crate::harness::Fresh;

    contract_tests!(where there is one: Fresh::start(Kind::Bitcoin));
}
