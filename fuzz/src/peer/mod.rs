//! A whole party, driven by bytes: a node that lies, a peer that is hostile, and a person who types commands.
//!
//! Input: actions, each a byte and what it takes: the byte's low half says what is done, its high half in which way (see
//! [`Case::act`]). The party is the home whose store is
//! [`SOUND`](crate::store_file::SOUND), a car that has agreed on a key with a charger; the charger's part is played in
//! [`charger`]. What the party hears of the chain is checked by nobody ([`Hearsay`]).

mod charger;
mod fees;

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use bitcoin::hashes::Hash;
use bitcoin::{Amount, FeeRate, ScriptBuf, Transaction, TxOut, Txid};
use keyway_chain::Chain;
use keyway_node::{NodeError, OfferRequest, Party};
use keyway_protocol::card::Card;
use keyway_protocol::identity::Seed;
use keyway_protocol::message::{AnswerForm, Carrier};
use keyway_protocol::negotiation::Agreed;
use keyway_protocol::sealing::Sealed;
use keyway_protocol::suite::Suite;

use crate::hearsay::{Answers, Hearsay};
use crate::stage::{Stage, begin_again};

/// More take the fuzzer long, and show little that these do not.
const MOST_ACTIONS: usize = 20;
const CHARGER: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
/// What the party's large coins hold: more than a block brings.
const LARGE: Amount = Amount::from_sat(10_000_000_000);
const COINS: usize = 12;

/// Does what these bytes describe and holds the party to its promises.
pub fn peer(data: &[u8]) {
    live(data);
}

/// How many letters of the charger the party opened in the life that these bytes describe.
pub fn live(data: &[u8]) -> usize {
    let (mut case, mut bytes) = (Case::begin(), Bytes(data));
    for _ in 0..MOST_ACTIONS {
        let Some(action) = bytes.byte() else { break };
        if case.act(action, &mut bytes) {
            case.look();
        }
    }
    *IDLE.lock().unwrap_or_else(PoisonError::into_inner) = case.party.take();
    case.opened
}

/// The party of the last life. To open the store for each was a third of the work.
static IDLE: Mutex<Option<Party>> = Mutex::new(None);

/// What is left of the input; at its end everything is zero.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn or_zero(&mut self) -> u8 {
        self.byte().unwrap_or_default()
    }

    /// A price that the value carrier can write: one byte above the least.
    fn price(&mut self) -> Amount {
        Amount::from_sat(60_000 + 4_000 * u64::from(self.or_zero()))
    }

    /// Changes a byte: at which place (u16, big-endian, modulo the length), and what is xored to it (u8).
    fn change(&mut self, bytes: &mut [u8]) {
        let at = usize::from(self.or_zero()) << 8 | usize::from(self.or_zero());
        let xor = self.or_zero();
        if let Some(byte) = at.checked_rem(bytes.len()).and_then(|at| bytes.get_mut(at)) {
            *byte ^= xor;
        }
    }
}

/// The party and all around it.
struct Case {
    party: Option<Party>,
    ledger: Hearsay,
    charger: &'static Seed,
    charger_card: Card,
    /// What the party handed over, as far as it was looked at.
    seen: usize,
    /// The party's offers to the charger.
    offers: Vec<Transaction>,
    /// The keys that the charger has.
    keys: Vec<Agreed>,
    letters: Vec<Vec<u8>>,
    coins: u32,
    sent_streams: u8,
    opened: usize,
}

fn stage() -> MutexGuard<'static, Stage> {
    static STAGE: LazyLock<Mutex<Stage>> = LazyLock::new(|| Mutex::new(Stage::set()));
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Derived once: 2,048 rounds of hashing are as much work as several actions.
fn charger_seed() -> &'static Seed {
    static SEED: LazyLock<Seed> = LazyLock::new(|| {
        let mnemonic: bip39::Mnemonic = CHARGER.parse().expect("words");
        Seed::derive(&mnemonic, &Chain::regtest()).expect("a mnemonic gives a seed")
    });
    &SEED
}

impl Case {
    fn begin() -> Self {
        // Once: every life begins with the same coins.
        static FUNDED: LazyLock<Hearsay> = LazyLock::new(|| {
            let party = stage().open();
            let ledger = stage().ledger(&party);
            let mut case = Case::of(party, ledger);
            case.fund();
            stage().keep();
            case.ledger
        });
        let ledger = FUNDED.clone();
        stage().put_back();
        let last = IDLE.lock().unwrap_or_else(PoisonError::into_inner).take();
        Self::of(last.map_or_else(|| stage().open(), begin_again), ledger)
    }

    fn of(party: Party, ledger: Hearsay) -> Self {
        let charger_card = party.peers().first().cloned().expect("the home has a peer");
        Self {
            ledger,
            charger: charger_seed(),
            charger_card,
            party: Some(party),
            seen: 0,
            offers: Vec::new(),
            keys: Vec::new(),
            letters: Vec::new(),
            coins: 0,
            sent_streams: 0,
            opened: 0,
        }
    }

    /// Coins that the ledger knows too; an offer begins with the largest.
    fn fund(&mut self) {
        let script_pubkey = self.party().key().script();
        let coins = vec![TxOut { value: LARGE, script_pubkey }; COINS];
        let input = self.given(Txid::all_zeros());
        self.post(&[input], coins, 0, &[]);
        self.ledger.mine();
        self.sync();
    }

    fn party(&mut self) -> &mut Party {
        self.party.as_mut().expect("it runs")
    }

    /// Does one thing. Says whether the party had a part in it: else there is nothing new to see.
    fn act(&mut self, action: u8, bytes: &mut Bytes<'_>) -> bool {
        let (action, way) = (action % 16, action / 16);
        match action {
            0 | 1 => self.sync(),
            2 => self.ledger.mine(),
            3 => self
                .ledger
                .mine_empty([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 36, 100, 1_008][usize::from(way)]),
            4 => self.ledger.roll_back([0, 1, 2, 3, 5, 8, 14, 31][usize::from(way / 2)], way % 2 == 1),
            5 => self.ledger.evict(),
            6 => self.offer(way, bytes),
            7 => self.charger_offers(way, bytes),
            8 => self.charger_answers(way, bytes),
            9 => self.think_again(way),
            10 => self.spend_otherwise(way, bytes),
            11 => self.weather(way, bytes),
            12 => self.seal(way),
            13 => self.charger_seals(way, bytes),
            14 => self.open_letter(way, bytes),
            _ => self.card(way, bytes),
        }
        matches!(action, 0 | 1 | 6 | 9 | 12 | 14 | 15)
    }

    fn sync(&mut self) {
        let party = self.party.as_mut().expect("it runs");
        match party.sync(&self.ledger, &mut |_| ()) {
            Ok(_) => assert_eq!(Some(party.tip()), keyway_ledger::Ledger::tip(&self.ledger).ok()),
            Err(error) => check(&error),
        }
    }

    fn offer(&mut self, way: u8, bytes: &mut Bytes<'_>) {
        let carrier = [Carrier::Value, Carrier::Static, Carrier::Dynamic][usize::from(way % 3)];
        let form = [AnswerForm::Sequences, AnswerForm::Amounts][usize::from(way / 3 % 2)];
        let suite = if way < 9 { Suite::X25519 } else { Suite::default_over(carrier) };
        let peer = self.charger_name();
        let price = bytes.price();
        let request =
            OfferRequest { peer, price, suite, carrier, form, force: false, timeout: None, group: None };
        let party = self.party.as_mut().expect("it runs");
        if let Err(error) = party.offer(&self.ledger, &request) {
            check(&error);
        }
    }

    /// The person gives a negotiation up, revokes its key, or pays more for a transaction that waits.
    fn think_again(&mut self, way: u8) {
        let (which, how) = (usize::from(way / 3), way % 3);
        let party = self.party.as_mut().expect("it runs");
        let done = if how == 0 {
            let sent = self.ledger.handed_over(0);
            let Some(waiting) = sent.iter().nth_back(which).map(|tx| tx.compute_txid()) else { return };
            party.raise_fee(&self.ledger, &waiting).map(drop)
        } else {
            let Ok(views) = party.negotiations() else { return };
            let Some(id) = views.get(which).map(|view| view.id) else { return };
            if how == 1 {
                party.cancel(&self.ledger, id).map(drop)
            } else {
                party.revoke(&self.ledger, id).map(drop)
            }
        };
        if let Err(error) = done {
            check(&error);
        }
    }

    fn weather(&mut self, way: u8, bytes: &mut Bytes<'_>) {
        let answers = match way % 8 {
            0..3 => Answers::Takes,
            3 => Answers::TakesAndIsLost,
            4 => Answers::IsLost,
            5 => Answers::Refuses("bad-txns-inputs-missingorspent"),
            6 => Answers::Refuses("txn-mempool-conflict"),
            _ => Answers::Refuses("min relay fee not met"),
        };
        let feerate = FeeRate::from_sat_per_kwu(250 + 100 * u64::from(bytes.or_zero()));
        let most_data = if way < 8 { 100_000 } else { 83 };
        self.ledger.set(answers, feerate, most_data);
    }

    fn seal(&mut self, way: u8) {
        let charger = self.charger_name();
        match self.party().seal(&charger, &vec![way; usize::from(way)], b"") {
            Ok(message) => self.letters.push(message.sealed.to_bytes()),
            Err(error) => check(&error),
        }
    }

    /// One of the newest letters comes, changed in half of the ways.
    fn open_letter(&mut self, way: u8, bytes: &mut Bytes<'_>) {
        let (changed, again) = (way % 2 == 1, way / 2 % 2 == 1);
        let Some(letter) = self.letters.iter().nth_back(usize::from(way / 4)) else { return };
        let mut letter = letter.clone();
        if changed {
            bytes.change(&mut letter);
        }
        let Ok(sealed) = Sealed::from_bytes(&letter) else { return };
        match self.party().open_sealed(&sealed, b"", again) {
            // Only what was sealed opens.
            Ok(opened) => {
                assert!(self.letters.contains(&letter) && &opened.plaintext[..] == b"started");
                self.opened += 1;
            }
            Err(error) => check(&error),
        }
    }

    fn card(&mut self, way: u8, bytes: &mut Bytes<'_>) {
        let (kind, way) = (way % 4, way / 4);
        let charger = self.charger_name();
        let done = match kind {
            0 => {
                let mut text = self.charger_card.to_string().into_bytes();
                (0..way).for_each(|_| bytes.change(&mut text));
                let card = String::from_utf8(text).ok().and_then(|text| text.parse::<Card>().ok());
                card.map_or(Ok(()), |card| self.party().add_peer(card))
            }
            1 => self.party().revoke_peer(&charger, way.is_multiple_of(2)).map(drop),
            2 => self.party().renew_card().map(drop),
            _ => {
                match way {
                    0 => self.begin_again(),
                    2 => self.open_again(),
                    _ => self.show_again(),
                }
                return;
            }
        };
        if let Err(error) = done {
            check(&error);
        }
    }

    fn charger_name(&self) -> String {
        self.charger_card.permanent().name.to_string()
    }

    fn open_again(&mut self) {
        drop(self.party.take());
        self.party = Some(stage().open());
    }

    fn begin_again(&mut self) {
        self.party = self.party.take().map(begin_again);
    }

    /// A program that starts again shows the same, once nothing is refused or lost any more.
    fn show_again(&mut self) {
        self.ledger.set(Answers::Takes, FeeRate::from_sat_per_kwu(250), 100_000);
        self.sync();
        let shown = |party: &Party| party.negotiations().map(|views| format!("{views:?}"));
        let live = shown(self.party());
        self.begin_again();
        self.sync();
        match (live, shown(self.party())) {
            (Ok(live), Ok(again)) => assert_eq!(live, again),
            (Err(error), _) | (_, Err(error)) => check(&error),
        }
    }

    /// What it shows can be shown, and what it sent pays no more to miners than it may.
    fn look(&mut self) {
        let party = self.party.as_ref().expect("it runs");
        for error in [party.negotiations().err(), party.status().err()].into_iter().flatten() {
            check(&error);
        }
        let sent = self.ledger.handed_over(self.seen);
        self.seen += sent.len();
        let (own, charger) = (party.key().script(), self.charger.identity.party().script());
        let ceiling = party.config().fee_ceiling;
        for tx in sent {
            fees::check(&self.ledger, &tx, ceiling);
            let pays_charger = tx.output.iter().any(|output| output.script_pubkey == charger);
            if pays_charger && is_signed_by(&tx, &own) {
                self.offers.push(tx.as_ref().clone());
            }
        }
    }
}

fn is_signed_by(tx: &Transaction, script: &ScriptBuf) -> bool {
    let key = tx.input.first().and_then(|input| input.witness.nth(1));
    let party = key.and_then(|key| keyway_protocol::identity::PartyKey::from_slice(key).ok());
    party.is_some_and(|party| party.script() == *script)
}

/// An error says what happened, and none of this is the store's fault.
fn check(error: &NodeError) {
    use NodeError as E;
    assert!(!error.to_string().is_empty());
    let at_fault = matches!(error, E::Store(_) | E::Io { .. } | E::Wallet(_));
    assert!(!at_fault, "{error}");
}
