//! Letters of the static carrier: any bytes, and sealed ones that were changed.
//!
//! Input: kind (u8). Of an even kind the rest is the letter; of an odd one a message length (u16), the message, and
//! changes of three bytes: which byte (u16) and what is xored to it (u8).

use keyway_protocol::identity::{Binding, NegotiationSecret};
use keyway_protocol::letter::{self, Direction, NotForUs, OVERHEAD};
use keyway_protocol::negotiation::NegotiationId;

use crate::common::{car, charger, coin, secret};

/// Opens what these bytes describe: only what the car sealed opens.
pub fn letter(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 2 {
        // A fuzzer that sees what is compared can copy a whole letter: the same message gives it again.
        0 => {
            if let Ok(message) = open(data) {
                assert_eq!(sealed(&message), data);
            }
        }
        _ => changed(data),
    }
}

/// The car's letter with this message.
pub fn sealed(message: &[u8]) -> Vec<u8> {
    let binding =
        Binding { id: NegotiationId::from_bytes([4; 32]), anchor: None, recipient: charger().key() };
    let secret = NegotiationSecret::from_secret(secret(1));
    letter::seal(&direction(), &charger().permanent.sealing, message, &secret, &binding).unwrap()
}

fn changed(data: &[u8]) {
    let Some((len, data)) = data.split_first_chunk() else { return };
    let (message, changes) = data.split_at(usize::from(u16::from_be_bytes(*len)).min(data.len()));
    let whole = sealed(message);
    assert_eq!(whole.len(), message.len() + OVERHEAD);
    let mut letter = whole.clone();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % letter.len();
        letter[at] ^= change[2];
    }
    // X25519 ignores the highest bit of the key that the letter begins with, and HPKE binds all of its bytes.
    let expected = if letter == whole { Ok(message.to_vec()) } else { Err(NotForUs) };
    assert_eq!(open(&letter), expected);
}

fn open(letter: &[u8]) -> Result<Vec<u8>, NotForUs> {
    letter::open(&direction(), &charger().seed.sealing, letter)
}

fn direction() -> Direction {
    let chain = car().permanent.chain;
    Direction { chain, author: car().key(), recipient: charger().key(), input0: coin(1) }
}
