//! Sealed messages: that are opened, and that are refused (PROTOCOL.md 11).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bitcoin::hashes::Hash;
use keyway_protocol::message::Tag;
use keyway_protocol::sealing::{Sealed, Stream, StreamId, seal};

use crate::file;
use crate::json::{Json, hex, object};
use crate::kdf::expand;
use crate::sealed_forged::{Entry, HEIGHT, PLAINTEXT, bytes, encrypt, entries, label, map, message, uint};
use crate::sealing::{NEGOTIATION, STREAM, TAG, block, key, sealed};

#[test]
fn the_vectors_of_sealed_messages_are_what_the_code_gives() {
    let mut refused = frames();
    refused.extend(headers());
    refused.extend(texts());
    let vectors = object! { "sealed": sealed_cases(), "unreadable": refused, "unopened": unopened() };
    file::check("sealed.json", &vectors);
}

fn sealed_cases() -> Vec<Json> {
    let mut stream = Stream::new(StreamId::from_bytes([0xa5; 16]));
    let tag = Some(Tag::from_bytes(TAG));
    let long: Vec<u8> = (0..300u32).map(|n| (n * 7) as u8).collect();
    vec![
        case("initiator", "with the initiator's tag", &mut stream, tag, b"charge 11 kW", b""),
        case("responder", "without a tag, the next in the stream", &mut stream, None, b"begun", b""),
        case("empty", "nothing inside", &mut stream, None, b"", b""),
        case("aad", "with associated data", &mut stream, tag, b"17.4 kWh", b"meter 7"),
        case("long", "longer than one block of the cipher", &mut stream, None, &long, &[0xff; 40]),
    ]
}

fn case(
    id: &str,
    comment: &str,
    stream: &mut Stream,
    tag: Option<Tag>,
    plaintext: &[u8],
    aad: &[u8],
) -> Json {
    let sealed = seal(stream, NEGOTIATION, block(HEIGHT), tag, &key(), plaintext, aad).unwrap();
    let envelope = sealed.envelope();
    let sk = key();
    let message_key = expand(sk.as_secret().expose(), "message key", &[envelope.stream.as_bytes()]);
    object! {
        "id": id,
        "comment": comment,
        "sk": hex(sk.as_secret().expose()),
        "negotiation_id": hex(NEGOTIATION.as_bytes()),
        "height": HEIGHT,
        "block": hex(block(HEIGHT).hash.to_byte_array()),
        "stream": hex(envelope.stream.as_bytes()),
        "counter": envelope.counter,
        "initiator_tag": tag.map(|tag| hex(tag.as_bytes())),
        "plaintext": hex(plaintext),
        "aad": hex(aad),
        "message_key": hex(message_key),
        "message": hex(sealed.to_bytes()),
        "text": sealed.to_string(),
    }
}

fn unreadable(id: &str, comment: &str, message: &[u8]) -> Json {
    let text = format!("keyway-sealed:{}", BASE64_URL_SAFE_NO_PAD.encode(message));
    unreadable_text(id, comment, &text)
}

fn unreadable_text(id: &str, comment: &str, text: &str) -> Json {
    let error = text.parse::<Sealed>().unwrap_err();
    object! { "id": id, "comment": comment, "text": text, "error": format!("{error:?}") }
}

/// Right headers in a wrong frame; each would open if its reader were lax.
fn frames() -> Vec<Json> {
    let protected = map(&entries());
    let ciphertext = encrypt(&protected);
    let [head, body] = [bytes(&protected), bytes(&ciphertext)];
    let inside = [&[0x83][..], &head, &[0xa0], &body].concat();
    let right = [&[0xd0][..], &inside].concat();
    let unprotected = [&[0xd0, 0x83][..], &head, &map(&[(uint(4), bytes(b"kid"))]), &body].concat();
    let open_array = [&[0xd0, 0x9f][..], &head, &[0xa0], &body, &[0xff]].concat();
    let chunked = [&[0xd0, 0x83][..], &head, &[0xa0, 0x5f], &body, &[0xff]].concat();
    let long = u8::try_from(ciphertext.len()).unwrap();
    let long_length = [&[0xd0, 0x83][..], &head, &[0xa0, 0x59, 0, long], &ciphertext].concat();
    vec![
        unreadable("untagged", "no CBOR tag", &inside),
        unreadable("tag-96", "the tag of COSE_Encrypt", &[&[0xd8, 96][..], &inside].concat()),
        unreadable("long-tag", "tag 16 in two bytes", &[&[0xd8, 16][..], &inside].concat()),
        unreadable("cut", "lacks its last byte", &right[..right.len() - 1]),
        unreadable("trailing-byte", "one byte too many", &[&right[..], &[0]].concat()),
        unreadable("detached", "without its ciphertext", &[&[0xd0, 0x83][..], &head, &[0xa0, 0xf6]].concat()),
        unreadable("unprotected", "an unprotected header", &unprotected),
        unreadable("open-array", "an array of indefinite length", &open_array),
        unreadable("chunked", "a ciphertext of indefinite length", &chunked),
        unreadable("long-length", "a length longer than it need be", &long_length),
    ]
}

/// Wrong headers, really sealed.
fn headers() -> Vec<Json> {
    let case = |id, comment, change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = entries();
        change(&mut entries);
        unreadable(id, comment, &message(&map(&entries)))
    };
    let iv = |iv: &[u8]| bytes(iv);
    vec![
        case("order", "the first two entries swapped", &|entries| entries.swap(0, 1)),
        case("twice", "the height twice", &|entries| entries.insert(4, entries[3].clone())),
        case("no-stream", "no stream id", &|entries| drop(entries.remove(5))),
        case("more", "an entry that the document does not know", &|entries| {
            entries.push((label(-65_541), uint(0)));
        }),
        case("alg-3", "AES-GCM", &|entries| entries[0].1 = uint(3)),
        case("kid-31", "a negotiation id of 31 bytes", &|entries| entries[1].1 = bytes(&[0x1d; 31])),
        case("iv-high", "an IV beyond 64 bits", &|entries| {
            entries[2].1 = iv(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
        }),
        case("iv-8", "an IV of 8 bytes", &|entries| entries[2].1 = iv(&[0; 8])),
        case("height-2-32", "a height of 33 bits", &|entries| entries[3].1 = uint(1 << 32)),
        case("height-negative", "a height below the first block", &|entries| entries[3].1 = label(-1)),
        case("long-height", "a height in more bytes than it need be", &|entries| {
            entries[3].1 = vec![0x19, 0, 201]
        }),
        case("tag-15", "an initiator's tag of 15 bytes", &|entries| entries[6].1 = bytes(&[0x7a; 15])),
    ]
}

fn texts() -> Vec<Json> {
    let text = sealed(PLAINTEXT, b"").to_string();
    vec![
        unreadable_text("prefix", "another kind of text", &text.replacen("sealed", "card", 1)),
        unreadable_text("padding", "base64url with padding", &format!("{text}=")),
        unreadable_text("inner-space", "white space inside", &text.replacen(':', ": ", 1)),
    ]
}

/// Of the right form, and not what was sealed.
fn unopened() -> Vec<Json> {
    let right = sealed(PLAINTEXT, b"meter 7").to_bytes();
    let changed = |at: usize| {
        let mut changed = right.clone();
        changed[at] ^= 1;
        changed
    };
    let (end, other) = (right.len() - 1, b"meter 8");
    let case = |id: &str, comment: &str, message: &[u8], aad: &[u8]| {
        let error = Sealed::from_bytes(message).unwrap().open(&key(), aad).unwrap_err();
        object! {
            "id": id,
            "comment": comment,
            "sk": hex(key().as_secret().expose()),
            "aad": hex(aad),
            "message": hex(message),
            "error": format!("{error:?}"),
        }
    };
    let stream = right.windows(16).position(|window| window == STREAM.as_bytes()).unwrap();
    vec![
        case("aad", "other associated data", &right, other),
        case("no-aad", "no associated data", &right, b""),
        case("last-bit", "the last bit of the authenticator changed", &changed(end), b"meter 7"),
        case("ciphertext", "a bit of the ciphertext changed", &changed(end - 16), b"meter 7"),
        case("stream", "a bit of the stream id changed", &changed(stream), b"meter 7"),
        case("counter", "a bit of the counter changed", &changed(4 + 4 + 36 + 12), b"meter 7"),
    ]
}
