//! Whether whoever answers at the address is a node of the chain that was asked for.

use bitcoin::{BlockHash, ScriptBuf};
use keyway_chain::{Chain, Family};
use serde_json::json;

use super::client::clipped;
use super::{Endpoint, Rpc, reply};
use crate::LedgerError;

/// Whether this can be the address of a node.
///
/// # Errors
/// [`LedgerError::Address`] says what is wrong with it.
pub fn check_address(url: &str) -> Result<(), LedgerError> {
    check_url(url).map(drop)
}

/// The address without its last slash.
pub(super) fn check_url(url: &str) -> Result<String, LedgerError> {
    let wrong = |what| Err(LedgerError::Address { url: without_password(url), what });
    let Some(place) = url.strip_prefix("http://") else {
        return wrong("it does not begin with http:// (nodes speak no https: use a tunnel to a far one)");
    };
    let place = place.trim_end_matches('/');
    if place.contains('@') {
        return wrong("a name and password do not belong into it");
    }
    let port = place.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
    match port {
        Some((host, Ok(_))) if is_host(host) => Ok(format!("http://{place}")),
        Some((_, Ok(_))) => wrong("its host is none"),
        _ => wrong("it lacks the port"),
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)),
    }
}

fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, place)) => format!("…@{}", clipped(place)),
        None => clipped(url),
    }
}

/// Asks a node which chain it is on.
///
/// # Errors
/// What is wrong with the address, the credentials or the node; [`LedgerError::OtherNetwork`] for a chain that
/// is not in the table.
pub fn chain_of(endpoint: Endpoint) -> Result<Chain, LedgerError> {
    // Whichever chain it is given: it is not compared.
    let rpc = Rpc::new(Chain::regtest(), endpoint)?;
    let ask = |error| rpc.failed(error);
    let info: reply::ChainInfo = rpc.client.call("getblockchaininfo", []).map_err(ask)?;
    let genesis: BlockHash = rpc.client.call("getblockhash", [json!(0)]).map_err(ask)?;
    let known = Chain::all().find(|known| known.genesis() == genesis).ok_or_else(|| {
        let expected = "a chain that Keyway knows".to_owned();
        LedgerError::OtherNetwork { backend: rpc.name(), expected, found: named(&info.chain, &genesis) }
    })?;
    let challenge = info.signet_challenge.map(|hex| ScriptBuf::from_bytes(hex.0));
    Ok(match challenge {
        Some(own) if known.node_challenge() != Some(own.as_script()) => Chain::custom_signet(own),
        _ => known,
    })
}

/// Asks the node what it is.
pub(super) fn check(rpc: &Rpc) -> Result<(), LedgerError> {
    let ask = |error| rpc.failed(error);
    let info: reply::ChainInfo = rpc.client.call("getblockchaininfo", []).map_err(ask)?;
    let genesis: BlockHash = rpc.client.call("getblockhash", [json!(0)]).map_err(ask)?;
    let challenge = info.signet_challenge.as_ref().map(|hex| hex.0.as_slice());
    let expected = rpc.chain.node_challenge().map(|script| script.as_bytes());
    let other = |found: String| {
        Err(LedgerError::OtherNetwork { backend: rpc.name(), expected: rpc.chain.name().to_owned(), found })
    };
    if genesis != rpc.chain.genesis() {
        return other(named(&info.chain, &genesis));
    }
    if challenge != expected {
        return other("a signet with another challenge".to_owned());
    }
    check_version(rpc)
}

/// The chain in our words, if we know it.
fn named(chain: &str, genesis: &BlockHash) -> String {
    let known = Chain::all().find(|known| known.genesis() == *genesis);
    known.map_or_else(|| format!("`{}`", clipped(chain)), |known| known.name().to_owned())
}

fn check_version(rpc: &Rpc) -> Result<(), LedgerError> {
    let (least, needed) = match rpc.chain.family() {
        Family::Bitcoin => (280_000, "Bitcoin Core 28"),
        Family::Litecoin => (210_000, "Litecoin Core 0.21"),
    };
    let info: reply::NetworkInfo =
        rpc.client.call("getnetworkinfo", []).map_err(|error| rpc.failed(error))?;
    if info.version < least {
        return Err(LedgerError::TooOld { backend: rpc.name(), found: info.version, needed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nodes_are_taken() {
        for url in ["http://127.0.0.1:8332", "http://node.lan:8332/", "http://[::1]:18443"] {
            assert_eq!(check_url(url).unwrap(), url.trim_end_matches('/'));
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_telling_the_password() {
        let cases = [
            ("127.0.0.1:8332", "http://"),
            ("https://127.0.0.1:8332", "https"),
            ("http://127.0.0.1", "port"),
            ("http://:8332", "host"),
            ("http://a b:8332", "host"),
            ("http://[::g]:8332", "host"),
            ("http://host:99999", "port"),
            ("http://alice:secret@host:8332", "password"),
        ];
        for (url, expected) in cases {
            let error = check_url(url).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        }
    }
}
