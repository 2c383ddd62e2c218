#!/bin/sh
# What Cargo calls in the compiler's place for ./x fuzz. Primitives and a wallet that others wrote, and parsers that no target's
# bytes reach, are no targets here: they are compiled as in a release, without libFuzzer's counters and without debug
# assertions. Counting their branches took most of the time, and told the fuzzer how X25519 multiplies.
compiler=$1
shift
crate=
previous=
for argument; do
  [ "$previous" != --crate-name ] || crate=$argument
  previous=$argument
done
case $crate in
  argon2 | bdk_chain | bdk_coin_select | bdk_core | bdk_wallet | bitcoin_hashes | blake2 | chacha20 | chacha20poly1305 | cipher | \
    crypto_bigint | curve25519_dalek | digest | hashlink | hkdf | hmac | keccak | miniscript | ml_kem | module_lattice | poly1305 | \
    rusqlite | secp256k1 | serde_spanned | sha2 | sha3 | subtle | toml | toml_datetime | toml_parser | winnow | x25519_dalek)
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
