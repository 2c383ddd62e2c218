//! `vectors/beside.json`: whole negotiations over the static and the dynamic carrier, with every value between.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint};
use keyway_carriers::script::lock::{Ends, Lock};
use keyway_carriers::script::{data, envelope, published};
use keyway_chain::{Chain, Height};
use keyway_protocol::message::{Answer, Carrier, Offer};
use keyway_protocol::negotiation::{Agreed, Context, Draft, Received, Role};
use keyway_protocol::outpoint_bytes;
use keyway_protocol::prekey::{FirstSecret, PrekeyId};
use keyway_protocol::suite::{Numbers, Suite};

use crate::file;
use crate::fixtures::{MODP2048, numbers};
use crate::json::{Json, hex, object};
use crate::party::{Party, coin};

const CAR: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const CHARGER: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
const OFFERED_AT: u32 = 840_000;
const ANSWERED_AT: u32 = 840_003;
const TIMEOUT: Height = Height::new(840_144);

#[test]
fn the_vectors_of_messages_beside_payments_are_what_the_code_gives() {
    let mut cases = Vec::new();
    for suite in Suite::USUAL {
        cases.push(Two::new("bitcoin", Carrier::Static, suite).case());
    }
    for suite in Suite::WITH_PREKEYS.into_iter().chain(Suite::FFDHE) {
        cases.push(Two::new("bitcoin", Carrier::Dynamic, suite).case());
    }
    for suite in [Suite::FfdhPublished, Suite::FfdhCustom] {
        cases.push(Two::new("bitcoin", Carrier::Static, suite).case());
    }
    cases.push(Two::new("litecoin", Carrier::Static, Suite::X25519).case());
    cases.push(Two::new("litecoin", Carrier::Dynamic, Suite::X25519).case());
    file::check("beside.json", &object! { "cases": cases });
}

/// RFC 3526's of 2,048 bits, with another generator than there.
fn group() -> Numbers {
    numbers(MODP2048, 4)
}

struct Two {
    chain: Chain,
    suite: Suite,
    initiator: Party,
    responder: Party,
    context: Context,
    anchor: OutPoint,
}

impl Two {
    fn new(chain: &str, carrier: Carrier, suite: Suite) -> Self {
        let chain = Chain::named(chain).unwrap();
        let initiator = Party::new("car", CAR, &chain, 1);
        let responder = Party::new("charger", CHARGER, &chain, 2);
        let context = Context {
            initiator: initiator.permanent.party_ref(),
            responder: responder.permanent.party_ref(),
            input0: coin(0x11),
            carrier,
        };
        Self { chain, suite, initiator, responder, context, anchor: coin(0x33) }
    }

    fn case(&self) -> Json {
        let carrier = self.context.carrier;
        let draft = self.draft();
        let (answer, theirs) = self.received(draft.offer().clone()).answer(&self.responder.n).unwrap();
        let offer = self.offer_json(&draft);
        let ours = draft.mined(self.anchor.txid).handle(&answer).unwrap();
        assert_eq!(ours.fingerprint(), theirs.fingerprint());
        object! {
            "id": format!("{}-{carrier}-{}", self.chain.name(), self.suite),
            "comment": format!("{} over the {carrier} carrier", self.suite),
            "chain": self.chain.name(),
            "carrier": u32::from(carrier.number()),
            "suite": u32::from(self.suite.number()),
            "group": self.suite.brings_group().then(|| self.group_json()),
            "initiator": party(&self.initiator),
            "responder": party(&self.responder),
            "offer": offer,
            "answer": self.answer_json(&answer),
            "keys": keys(&ours),
        }
    }

    fn draft(&self) -> Draft {
        let n = &self.initiator.n;
        match self.context.carrier {
            Carrier::Dynamic => {
                let prekey = self.responder.prekeys.public(self.suite);
                Draft::to_prekey(self.context, self.suite, &prekey, TIMEOUT, n).unwrap()
            }
            _ if self.suite.brings_group() => {
                let group = group().check(self.suite).unwrap();
                let published = (self.suite == Suite::FfdhPublished).then(|| coin(0x55).txid);
                Draft::in_group(self.context, group, published, OFFERED_AT, n)
            }
            _ => Draft::dated(self.context, self.suite, OFFERED_AT, n),
        }
    }

    fn received(&self, offer: Offer) -> Received {
        let first = self.first(&offer);
        let published = self.suite == Suite::FfdhPublished;
        let received = Received::new(self.context, offer, self.anchor).at(ANSWERED_AT);
        let received = if published { received.with_published(group()) } else { received };
        first.into_iter().fold(received, Received::with_first)
    }

    fn first(&self, offer: &Offer) -> Option<FirstSecret> {
        let direction = self.context.letter(Role::Initiator, self.context.input0);
        let is_dynamic = self.context.carrier == Carrier::Dynamic;
        is_dynamic.then(|| FirstSecret::receive(&direction, offer, &self.responder.prekeys).unwrap())
    }

    fn offer_json(&self, draft: &Draft) -> Json {
        let (carrier, message) = (self.context.carrier, draft.offer().to_bytes());
        let sealed = draft.sealed(&self.responder.permanent.sealing, &self.initiator.n).unwrap();
        let bytes = if carrier == Carrier::Static { sealed } else { message.clone() };
        let first = self.first(draft.offer());
        let prekey = self.responder.prekeys.public(self.suite);
        let lock = first.as_ref().map(|first| {
            let (responder, initiator) = (self.responder.key(), self.initiator.key());
            let ends = Ends { responder, initiator, timeout: TIMEOUT };
            Lock::new(&ends, first.condition(draft.offer()).unwrap()).unwrap()
        });
        object! {
            "input0": outpoint(self.context.input0),
            "negotiation_id": hex(self.context.id().as_bytes()),
            "timestamp": (carrier == Carrier::Static).then(|| OFFERED_AT.into()),
            "timeout": (carrier == Carrier::Dynamic).then(|| TIMEOUT.to_u32().into()),
            "prekey": first.as_ref().map(|_| hex(&prekey)),
            "prekey_id": first.as_ref().map(|_| hex(PrekeyId::of(self.suite.number(), &prekey).as_bytes())),
            "message": hex(&message),
            "data_script": hex(data::write(&bytes).unwrap().script_pubkey.as_bytes()),
            "envelope_script": hex(envelope::write(self.initiator.key(), &bytes).unwrap().as_bytes()),
            "payment_secret": first.as_ref().map(|first| hex(first.payment_secret().expose())),
            "lock_script": lock.as_ref().map(|lock| hex(lock.script().as_bytes())),
            "lock_output": lock.as_ref().map(|lock| hex(lock.output(Amount::ZERO).script_pubkey.as_bytes())),
        }
    }

    fn group_json(&self) -> Json {
        let is_published = self.suite == Suite::FfdhPublished;
        object! {
            "p": hex(group().modulus()),
            "g": hex(group().generator()),
            "txid": is_published.then(|| hex(coin(0x55).txid.as_byte_array())),
            "outputs": is_published.then(|| {
                let scripts = published::write(&group()).unwrap().map(|output| hex(output.script_pubkey.as_bytes()));
                Json::from(scripts.into_iter().collect::<Vec<_>>())
            }),
        }
    }

    fn answer_json(&self, answer: &Answer) -> Json {
        let carrier = self.context.carrier;
        let to = &self.initiator.permanent.sealing;
        let sealed = Received::sealed(&self.context, self.anchor, answer, to, &self.responder.n).unwrap();
        let bytes = if carrier == Carrier::Static { sealed } else { answer.to_bytes() };
        object! {
            "anchor": outpoint(self.anchor),
            "timestamp": (carrier == Carrier::Static).then(|| ANSWERED_AT.into()),
            "message": hex(answer.to_bytes()),
            "data_script": hex(data::write(&bytes).unwrap().script_pubkey.as_bytes()),
            "envelope_script": hex(envelope::write(self.responder.key(), &bytes).unwrap().as_bytes()),
        }
    }
}

fn party(party: &Party) -> Json {
    object! {
        "mnemonic": party.mnemonic.to_string(),
        "index": party.index,
        "n": hex(party.n.as_secret().expose()),
        "q": hex(party.prekeys.as_secret().expose()),
        "permanent_digest": hex(party.permanent.digest()),
        "card": party.card.to_string(),
    }
}

fn keys(agreed: &Agreed) -> Json {
    object! {
        "transcript": hex(agreed.transcript().as_bytes()),
        "master_key": hex(agreed.master_key().as_secret().expose()),
        "fingerprint": hex(agreed.fingerprint().as_bytes()),
        "initiator_tag": hex(agreed.tag(Role::Initiator).as_bytes()),
    }
}

fn outpoint(outpoint: OutPoint) -> Json {
    hex(outpoint_bytes(outpoint))
}
