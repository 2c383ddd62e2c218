//! The contract that every backend keeps.

use keyway_ledger::contract_tests;

use super::tools::Fresh;

contract_tests!(Fresh::start());
