//! Worked examples, at the end of every `--help`, and the help topics.

pub const KEYWAY: &str = "\
Example:
  keyway demo                        # see it all, in a second
  keyway help exit-codes             # what scripts can rely on

By hand, two parties beside each other:
  keyway --home car init --name car --ledger chain \\
    --insecure-no-passphrase --words-to car.words
  keyway --home charger init --name charger --ledger chain \\
    --insecure-no-passphrase --words-to charger.words
  keyway --home car card | keyway --home charger peer add -
  keyway --home charger card | keyway --home car peer add -
  keyway --home car fund 0.05btc
  keyway --home car offer charger --pay 250000sat
  keyway --home car mine
  keyway --home charger sync         # answers
  keyway --home car mine 2
  keyway --home car sync
  keyway --home charger sync         # both have the key
  echo hello | keyway --home car seal charger | keyway --home charger open";

pub const INIT: &str = "\
The mnemonic is not kept in the home: write it down. With it, the chain and the peers' cards, all can be
restored. A --key-file that does not exist is made, with fresh random bytes.

With --restore or --words-from a lost home is made again. A backup has the peers' cards, too; without one say the
--name that the party had, and add the cards afterwards. What ends the search does no harm: `keyway sync` goes on.
The lost home must not run any more.

With --node the chain is seen through Bitcoin Core 28 or newer, or Litecoin Core 0.21; the node needs neither
wallet nor index, and may be pruned.

Example:
  keyway --home car --key-file car.key init --name car \\
    --ledger chain --words-to car.words
  keyway --home car init --name car --node http://127.0.0.1:19443 \\
    --cookie ~/.litecoin/regtest/.cookie
  keyway --home car init --words-from car.words \
    --backup car.backup

JSON: home, name, chain, ledger, key, address, height; of a restored one also restored: negotiations, unread_payments,
unread_offers.";

pub const CARD: &str = "\
Example:
  keyway --home car card > car.card
  keyway --home charger peer add car.card

JSON: name, key, chain, serial, expires_at_height, suites, carriers, card.";

pub const BACKUP: &str = "\
What restoring the party takes beside its mnemonic and the chain, in one text: its card, the peers' cards, introductions
and revocations, which keys the peers have confirmed, the configuration. There is no secret in it, but it says with whom
the party deals. It is signed: what was changed is refused. The mnemonic is not in it.

Write it whenever peers or the configuration have changed. An older one, and none at all, restores as well: only what it
does not say is missing then, as docs/OPERATING.md tells.

Example:
  keyway --home car backup car.backup
  keyway --home car backup | ssh vault 'cat > car.backup'

JSON: file, bytes, height, peers; without a file backup, the text.";

pub const PEER: &str = "\
Example:
  keyway --home car peer add charger.card
  keyway --home car peer list";

pub const PEER_ADD: &str = "\
Take a card only by a way that you trust: whoever can change it on the way can put himself in the middle.

Example:
  keyway --home charger card | keyway --home car peer add -

JSON: name, key, chain, serial, expires_at_height, suites, carriers.";

pub const PEER_LIST: &str = "\
Example:
  keyway --home car peer list

JSON: an array of the fields of `peer add`, with standing (accepted, introduced, lapsed or revoked), introduced_by and
introduced_until_height.";

pub const PEER_REMOVE: &str = "\
Example:
  keyway --home car peer remove charger

JSON: name, key.";

pub const PEER_INTRODUCE: &str = "\
The line says that the card's owner is who the card says. It counts with those whose configuration names this party in
introductions.accept_by. Give it to them beside the card, in a roster; a withdrawal goes the same way.

Example:
  keyway --home operator peer introduce car.card >> fleet.txt
  keyway --home operator peer introduce car --withdraw >> fleet.txt

JSON: name, key, serial, expires_at_height (null for a withdrawal), introduction.";

pub const PEER_IMPORT: &str = "\
A roster is a text file of cards and introductions, one a line, in any order; # begins a comment. An introduction is
taken if introductions.accept_by names its introducer, a new card if an introduction of it holds. What is not taken is
told, and hinders nothing else. A roster that the configuration names as introductions.roster is read again by every
`keyway sync`, and by `keyway serve`, when it has changed.

Example:
  cat car.card charger.card >> fleet.txt
  keyway --home car peer import fleet.txt

JSON: cards, introductions, refused (each: line, why).";

pub const PEER_REVOKE: &str = "\
Nothing is negotiated with a revoked peer, and its keys seal and open nothing, whatever a roster says. Its card stays,
so that what the chain says of it can be read.

Example:
  keyway --home car peer revoke charger
  keyway --home car peer revoke --undo charger

JSON: name, key, standing.";

pub const FUND: &str = "\
Only on the embedded ledger, whose coins are worth nothing. Mines one block, and once more the hundred that
a faucet needs before its coins may be spent.

Example:
  keyway --home car fund 0.05btc

JSON: txid, amount_sat, coins, height, mined.";

pub const MINE: &str = "\
Only on the embedded ledger. Takes in what waits to be mined. Follow with `keyway sync`.

Example:
  keyway --home car mine 2

JSON: mined, height, hash, transactions.";

pub const OFFER: &str = "\
Follows the chain first, and stores every secret before the payment is sent. Over the value carrier the message is
in the amounts of the payment's outputs, which together are exactly the price; over the static one it is sealed
beside the payment; over the dynamic one the payment is locked, and comes back by itself if nobody answers in time.
The lock is a hash; of the ffdhe suites it is the paper's own, by OP_EXPONENT, where the ledger enforces that.

Example:
  keyway --home car offer charger --pay 250000sat --carrier static

Where the ledger relays no data output so large, the message rides in an envelope: a small transaction goes before it,
and comes back by itself if the offer cannot follow.

With --psbt the price comes from another wallet: the home lends its coin for input 0, and the PSBT's last output gives it
back. The wallet puts its inputs behind input 0 and its outputs behind that one, without shuffling, and signs.

  keyway --home car offer charger --pay 250000sat --psbt offer.psbt
  keyway --home car submit signed.psbt

JSON: id, peer, suite, carrier, answer_in, price_sat, txid, vbytes, fee_sat, commit (vbytes, fee_sat), coins, bits,
data_bytes, in_envelope, locked_sat, timeout_height, locked_by. With --psbt: psbt, lent_sat, last_output and until_height
instead of txid, vbytes, fee_sat and commit.";

pub const PSBT: &str = "\
Example:
  keyway --home car psbt charger offer.psbt

JSON: the fields of `offer --psbt`.";

pub const SUBMIT: &str = "\
Everything that the home wrote must be there to the byte, in its place. The other wallet's inputs must spend segwit coins
that are there, signed for the whole transaction and finalised; its outputs must not pay the peer, hold data, or over the
static and the dynamic carrier be of the form P2WSH or P2TR. The fee lies between what nodes relay and the configuration's
ceiling. What differs is told, and the offer waits as before; the same PSBT twice is one offer.

Example:
  keyway --home car submit signed.psbt

JSON: the fields of `offer`.";

pub const CANCEL: &str = "\
A transaction that spends the offer's first coin back to the home, at a fee that replaces the offer, takes its place.
When it is mined, the negotiation has expired and all coins are free. Until then the offer may be mined after all, and
goes on. Where the node takes no replacement, the return waits until the node drops the offer. `keyway serve` gives up by
itself what waits for fees.give_up_blocks of the configuration.

An offer that was prepared with --psbt and not submitted is given up at once: its coin is free, its secret is erased, and
what comes back later is refused. By itself that happens after fees.prepared_blocks.

Example:
  keyway --home car cancel charger

JSON: id, peer, outcome (unsigned, sent or waits), txid, fee_sat, why.";

pub const COST: &str = "\
Needs no home. A carrier that is too small for the suite, or a price that is too low, is refused as `keyway offer`
would refuse it.

With --liveness the answer has a coin beside, by which either side can revoke the key (`keyway revoke`). Where
the price does not pay for that too, an answer may go out without.

Example:
  keyway cost --carrier static --suite x25519-mlkem768 --pay 250000sat

JSON: chain, carrier, suite, price_sat, feerate_sat_per_vb, offer and answer (vbytes, fee_sat), paid_back_sat,
set_aside_sat, netted_sat, refund (vbytes, fee_sat), padding_bytes, envelopes (offer, offer_commit, answer,
answer_commit, fund_sat, netted_sat), coins, bits, data_bytes, in_envelope, locked_sat, timeout_height, locked_by.";

pub const SYNC: &str = "\
Answers the offers of peers as the configuration's [policy] says, sends again what is not mined yet, and
keeps at least four coins ready. A locked payment that nobody answered is taken back after its timeout.

Example:
  keyway --home charger sync

JSON: height, connected, disconnected, events (each: event, and negotiation, peer, txid, from, to, why,
fee_sat, by, cards, introductions, refused_lines where they apply).";

pub const SERVE: &str = "\
It follows the home's node, answers offers as the policy says, sends again what is not mined, and pays more for
what waits too long, up to the ceiling in the configuration. While it runs, the other commands of this home ask it;
programs do over HTTP on the socket HOME/control.sock, which describes itself at /v1/api.yaml; /metrics is for
Prometheus. SIGTERM and SIGINT end it. RUST_LOG says how much is logged.

Example:
  keyway --home car serve
  keyway --home car status           # on another terminal: asks the service
  curl --unix-socket car/control.sock http://keyway/v1/status";

#[cfg(feature = "exponent")]
pub const ENFORCE: &str = "\
It follows the node, checks every spending by OP_EXPONENT in blocks that come after the one where it began, and has the
node leave blocks that break the rule (invalidateblock). It answers the node's JSON-RPC at --listen, with the cookie in
DIR/.cookie: there sendrawtransaction takes such spendings, getblocktemplate holds them and submitblock checks blocks;
every other question goes to the node. Homes that name it as their node can use the ffdhe suites over the dynamic
carrier; miners of a consortium ask it instead of the node. SIGTERM and SIGINT end it; it catches up when it is back.

Example:
  keyway enforce --node http://127.0.0.1:18443 --data enforcer
  keyway --home car init --name car --node http://127.0.0.1:28332 \\
    --cookie enforcer/.cookie";

pub const KEYS: &str = "\
A fingerprint says nothing of its key; equal fingerprints on both sides mean the same key.

Example:
  keyway --home car keys

JSON: an array of negotiations, as in `keyway help show`.";

pub const SHOW: &str = "\
Example:
  keyway --home car show charger

JSON: id, role, peer, suite, group (digest, bits, published), carrier, answer_in, price_sat, state, depth,
key_depth, confirmed, fingerprint, offer (txid, height, time, vbytes, fee_sat, commit, coins, bits, data_bytes,
in_envelope, locked_sat, timeout_height), answer (txid, height, time, vbytes, fee_sat, commit, paid_back_sat,
data_bytes, in_envelope), netted_sat, declined, waiting, coin (txid, vout, amount_sat, names, since_height,
life, by_txid, by_height, depth, by_own), rotation (height, time, bytes_left), as_of_height. A coin's life is
alive, moving, ending or spent. A commit (vbytes, fee_sat) comes before what rides in an envelope. Times are
seconds since 1970; what is not known is null.";

pub const ROTATE: &str = "\
The new key is agreed like the first one, in a payment, from fresh shares. When it is active the old one seals no more; it
opens what is still on its way for 100 blocks, and is then erased on both sides. The configuration's [rotation] has
`keyway serve` and `keyway sync` do it by themselves.

Example:
  keyway --home car rotate charger
  keyway --home car rotate charger --pay 60000sat

JSON: the fields of `offer`.";

pub const REVOKE: &str = "\
Where policy.liveness of the responder says so, an answer puts a coin aside that either side can spend alone. While it is
unspent, the pair's keys live; rotation moves it on. This command spends it, in one transaction, which costs a little of the
coin or of the wallet. When that is as deep as policy.key_depth says, no key that was agreed before seals or opens any more, on
either side, and whoever reads the chain knows it: `keyway trace` shows it, `keyway evidence export` proves it. What is
negotiated afterwards is untouched; who wants no new key either uses `keyway peer revoke` too, which this home alone heeds, and
which is all that a pair without a coin has.

Where the ledger keeps another transaction that spends the coin, this one waits, and is sent again; if the coin was moved
before, the moved one is spent. It cannot be taken back.

Example:
  keyway --home car revoke charger
  keyway --home car revoke charger --yes

JSON: id, peer, outcome (sent, waits or mined), txid, fee_sat, why, depth, key_depth.";

pub const SEAL: &str = "\
The key is that of the newest block this home has followed, so `keyway sync` now and then. The message is one
COSE_Encrypt0, as a line of text unless --binary.

Example:
  echo 'start at 11 kW' | keyway --home car seal charger > message
  keyway --home charger open message

JSON: negotiation, height, block, sealed.";

pub const OPEN: &str = "\
The message itself goes to standard output, byte for byte. If it names a block that this home has not seen,
the chain is followed and the message tried once more.

Example:
  keyway --home charger open message

JSON: negotiation, peer, height, block, confirms, text (null unless it is UTF-8), hex.";

pub const STATUS: &str = "\
Says what the home knows without asking the ledger.

Example:
  keyway --home car status

JSON: name, chain, height, block_time, spendable_sat, held_sat, lent_sat, immature_sat, coins, unmined, address, peers
(each: peer, negotiation, fingerprint, epoch, since_height, state, confirmed, waiting, coin, rotation).";

pub const CONFIG: &str = "\
Example:
  keyway --home car config check
  keyway config sample --chain litecoin";

pub const CONFIG_CHECK: &str = "\
Example:
  keyway --home car config check

JSON: file, settings (each: name, value, source).";

pub const CONFIG_SAMPLE: &str = "\
What `keyway init` would write for a home beside a node of that chain on this machine.

Example:
  keyway config sample --chain litecoin

JSON: config (the text).";

pub const DEMO: &str = "\
Makes two homes and a ledger in --home (default: ./keyway-demo), runs the whole story on it with Bitcoin
Core's own validation, and fails if anything is not as it should be. The folder is kept.

Example:
  keyway demo --carrier all --home /tmp/demo

Of all carriers the dynamic one is shown twice: locked by a hash, and by OP_EXPONENT, which this ledger enforces.

JSON: runs, one for each carrier and lock, each: chain, carrier, suite, answer_in, price_sat, negotiation, offer and answer (txid, height, time, vbytes,
fee_sat), initiator and responder (name, key, fingerprint, confirmed, paid_sat, fee_sat, and netted_sat of
the responder; paid_sat is what went to the other side, fees apart), key (height, depth), sessions (height,
direction, from, to, text, opened, eavesdropper_opened), eavesdropper (blocks, attempts, opened), envelopes (as in `keyway help cost`), home.";

pub const SCRIPT: &str = "\
A script's text: opcodes with OP_ or without, numbers, <00ff> for bytes that are pushed, 'abc' for text that is
pushed, 0x00ff for bytes of the script itself.

Example:
  keyway script run '<02> <07> EXPONENT 1 EQUAL' --unlock 3
  keyway script asm 'DUP HASH160'";

pub const SCRIPT_ASM: &str = "\
Example:
  keyway script asm 'SIZE 32 EQUALVERIFY SHA256'

JSON: hex, text, bytes.";

pub const SCRIPT_DISASM: &str = "\
Example:
  keyway script disasm 82012088a8

JSON: hex, text, bytes.";

pub const SCRIPT_RUN: &str = "\
Shows each instruction and the stack that it leaves, the top on the right. A script alone runs in a transaction
made for it; signatures need a real one, with --tx. Fails if the script fails.

Example:
  keyway script run '<02> <07> EXPONENT 1 EQUAL' --unlock 3
  keyway script run 'IF 2 ELSE 3 ENDIF' --unlock 0 --as legacy
  keyway script run --tx @spend.hex --spends 0.001btc:51

JSON: verifies, error, why, scripts (each: part, bytes, steps, left), left_out. A step: byte, instruction,
executed, depth, stack, alt_stack, budget, as they are before it. left is the stack at the script's end.";

pub const COMPLETIONS: &str = "\
Example:
  keyway completions bash > ~/.local/share/bash-completion/completions/keyway";

pub const MAN: &str = "\
Example:
  keyway man --out ~/.local/share/man/man1
  man keyway-offer";

pub const HELP: &str = "\
Example:
  keyway help exit-codes
  keyway help peer add";

/// `keyway help exit-codes`
const EXIT_CODES: &str = "\
Exit codes

  0  done
  1  failed: a wrong passphrase, a damaged store, not enough money, a demo that did not hold
  2  wrong usage: an unknown option, an amount that is none
  3  not yet: nothing is wrong, come back after the next block
  4  refused by policy: a price too low, a card that is not accepted, a message opened before
  5  the ledger cannot be reached, is in use, damaged, behind, or of another chain

Errors go to standard error: what happened, then indented why and what to do. With --json they are one line
of JSON: {\"error\": {\"kind\", \"what\", \"why\", \"do\"}}, kind being failed, usage, not-yet, refused or ledger.

Example:
  keyway --home car seal charger message > sealed || test $? -eq 3 && echo 'later'
";

/// `keyway help amounts`
const AMOUNTS: &str = "\
Amounts

  250000sat       satoshis, 1/100 000 000 of a bitcoin; sats is fine too
  '250 000 sat'   the same; groups may be parted by spaces or _
  250000          the same: a plain number means satoshis
  0.0025btc       the same in bitcoins

Example:
  keyway --home car offer charger --pay 0.0025btc
";

/// `keyway help suites`
const SUITES: &str = "\
Suites, and what they rest on

  x25519            the curve of RFC 7748: short enough for every carrier
  x25519-mlkem768   X-Wing: a quantum computer of later does not open it either
  ffdhe2048, ffdhe3072, ffdhe4096
                    Diffie-Hellman in the groups of RFC 7919
  ffdh-custom       in a group that the offer brings: --params FILE
  ffdh-published    in a group that a transaction has published: --published TXID

The last two are the paper's own. Their groups come from somebody: each is checked, and no check finds a prime that was
made to be broken. They ride over the static carrier, and a home answers them only if policy.suites names them.

Example:
  keyway --home car offer charger --pay 250000sat --carrier static \\
    --suite ffdh-custom --params mine.group
";

/// The topics of `keyway help`, by name.
pub const TOPICS: [(&str, &str); 3] = [("exit-codes", EXIT_CODES), ("amounts", AMOUNTS), ("suites", SUITES)];
