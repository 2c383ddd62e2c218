#!/bin/sh
# What Cargo calls in the compiler's place for ./x fuzz. Keyway and the parsers that the targets' bytes reach are compiled as
# cargo-fuzz wants it. All else is no target here, primitives, the wallet's library and SQLite's binding among it: that is compiled
# as in a release, without libFuzzer's counters and without debug assertions. Counting its branches took most of the time, and
# told the fuzzer how X25519 multiplies.
compiler=$1
shift
crate=
previous=
for argument; do
  [ "$previous" != --crate-name ] || crate=$argument
  previous=$argument
done
case $crate in
  keyway_* | base58ck | base64 | bech32 | bip39 | bitcoin | bitcoin_io | bitcoin_slices | bitcoin_units | ciborium | ciborium_ll | \
    coset | hex_conservative | serde | serde_core | serde_json) ;;
  *)
    for argument; do
      shift
      case $argument in
        -Cpasses=sancov-module | -Cllvm-args=-sanitizer-coverage-* | -Cdebug-assertions) ;;
        *) set -- "$@" "$argument" ;;
      esac
    done
    ;;
esac
exec "$compiler" "$@"
