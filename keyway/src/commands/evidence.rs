//! `keyway evidence`: files that prove negotiations to third parties, made and checked.

use std::path::Path;

use bitcoin::BlockHash;
use bitcoin::block::Header;
use bitcoin::consensus::encode::deserialize;
use bitcoin::hex::FromHex;
use keyway_chain::{Depth, Height};
use keyway_evidence::{Evidence, Found, MOST_BYTES, Statement, Trust};
use keyway_ledger::Ledger;
use keyway_node::{CONFIG_FILE, Config, EvidenceRequest, NodeError, Party, STORE_FILE, SessionError};
use keyway_protocol::negotiation::Role;

use super::keys::id_of;
use super::messages;
use crate::cli::{
    Disclose, EvidenceAction, EvidenceExport, EvidenceOpen, EvidenceShow, EvidenceVerify, Global, HeldTo,
};
use crate::context::Context;
use crate::error::{Error, EvidenceFault};
use crate::render::evidence::{InsideJson, StatementJson, inside_text, statement_text};
use crate::ui::Ui;
use crate::{files, ledger, unlock};

/// The most bytes of a chain of headers: those of the longest chain, in hexadecimal.
const HEADERS: usize = 700 << 20;
/// Bytes of a header.
const HEADER: usize = 80;

/// What needs no open home.
pub fn run(global: &Global, action: &EvidenceAction, ui: &Ui) -> Result<(), Error> {
    match action {
        EvidenceAction::Export(args) => export(&mut Context::alone(global, ui), args, ui),
        EvidenceAction::Verify(args) => verify(global, args, ui),
        EvidenceAction::Show(args) => show(args, ui),
        EvidenceAction::Open(args) => open(args, ui),
    }
}

/// `keyway evidence export`
pub fn export(context: &mut Context<'_>, args: &EvidenceExport, ui: &Ui) -> Result<(), Error> {
    let join = args.join.as_deref().map(|path| parsed(&context.read(path, MOST_BYTES)?)).transpose()?;
    let served = context.is_served();
    let (party, ledger) = context.party_and_ledger()?;
    let id = id_of(party, &args.negotiation)?;
    let request = request(party, args, join)?;
    let evidence = party.evidence(ledger, id, &request)?;
    let bytes = evidence.to_bytes();
    // Who asked writes the file: this process may stand in another folder.
    if served { ui.bytes(&bytes) } else { hand_over(&bytes, args, ui) }
}

fn request(party: &Party, args: &EvidenceExport, join: Option<Evidence>) -> Result<EvidenceRequest, Error> {
    let id = id_of(party, &args.negotiation)?;
    let role = party.negotiations()?.into_iter().find(|view| view.id == id).map(|view| view.role);
    let role = role.ok_or(SessionError::NotForUs(id))?;
    let session = |what: &Disclose| match *what {
        Disclose::Session { height, sent } => Some((height, if sent { role } else { role.other() })),
        _ => None,
    };
    Ok(EvidenceRequest {
        depth: args.depth.map(Depth::new),
        contents: args.disclose.contains(&Disclose::Contents),
        fingerprint: args.disclose.contains(&Disclose::Fingerprint),
        sessions: args.disclose.iter().filter_map(session).collect(),
        join,
    })
}

/// Writes a file where it was asked for, and tells of it; without a place, its bytes are the data.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn hand_over(bytes: &[u8], args: &EvidenceExport, ui: &Ui) -> Result<(), Error> {
    let Some(path) = &args.out else { return ui.bytes(bytes) };
    let evidence = parsed(bytes)?;
    // A session key in it is for whom the file is for.
    files::write_secret(path, bytes)?;
    let json = InsideJson::new(&evidence, Some((path, bytes.len())));
    ui.data(&json, |json| json.summary())?;
    if !evidence.disclosures.sessions.is_empty() {
        ui.say("  it holds session keys: whoever reads it opens the messages of those blocks");
    }
    Ok(())
}

/// `keyway evidence verify`
fn verify(global: &Global, args: &EvidenceVerify, ui: &Ui) -> Result<(), Error> {
    let evidence = read(&args.file)?;
    let trust = trust(global, &evidence, &args.held_to)?;
    let statement = check(&evidence, &trust, Depth::new(args.depth))?;
    let json = StatementJson::new(&statement);
    ui.data(&json, |_| statement_text(&statement, ui.paint(), ui.width()))
}

/// `keyway evidence show`
fn show(args: &EvidenceShow, ui: &Ui) -> Result<(), Error> {
    let evidence = read(&args.file)?;
    ui.data(&InsideJson::new(&evidence, None), |_| inside_text(&evidence, ui.width()))?;
    ui.say("  unchecked: `keyway evidence verify` says what of it is proven");
    Ok(())
}

/// `keyway evidence open`
fn open(args: &EvidenceOpen, ui: &Ui) -> Result<(), Error> {
    let statement = check(&read(&args.file)?, &Trust::Work, Depth::new(1))?;
    let sealed = messages::parse(&files::read(&args.message, files::SEALED)?)?;
    let opened = statement.open(&sealed, args.aad.as_bytes()).map_err(EvidenceFault::NotOpened)?;
    ui.bytes(&opened)?;
    let height = sealed.envelope().block.height;
    let sessions = statement.sessions.iter().filter(|session| session.block.height == height);
    let words: Vec<&str> = sessions.map(|session| statement.name(session.by)).collect();
    ui.say(&format!("  under the key of block {height}, by the word of {}", words.join(" and ")));
    Ok(())
}

fn read(path: &Path) -> Result<Evidence, Error> {
    parsed(&files::read(path, MOST_BYTES)?)
}

fn parsed(bytes: &[u8]) -> Result<Evidence, Error> {
    Ok(Evidence::from_bytes(bytes).map_err(EvidenceFault::Malformed)?)
}

fn check(evidence: &Evidence, trust: &Trust, least: Depth) -> Result<Statement, Error> {
    Ok(evidence.verify(trust, least).map_err(|why| EvidenceFault::Refused(Box::new(why)))?)
}

fn trust(global: &Global, evidence: &Evidence, held_to: &HeldTo) -> Result<Trust, Error> {
    if let Some(block) = held_to.trusted {
        return Ok(Trust::Block { hash: block.hash, height: block.height });
    }
    if held_to.by_work {
        return Ok(Trust::Work);
    }
    // Without such a header nothing is found; the check itself says better what is missing.
    let Some(pivot) = evidence.pivot_block() else { return Ok(Trust::Work) };
    if let Some(path) = &held_to.headers {
        let bytes = files::read(path, HEADERS)?;
        return Ok(Trust::Chain(find(&bytes, &pivot.hash, evidence.chain.genesis())?));
    }
    // No secret is needed: only where the ledger is.
    let home = unlock::home(global)?;
    if !home.join(STORE_FILE).exists() {
        return Err(NodeError::NoHome(home).into());
    }
    let config = Config::load(&home.join(CONFIG_FILE))?;
    if config.chain.id() != evidence.chain.id() {
        let (home, ledger) = (evidence.chain.id(), config.chain.id());
        return Err(EvidenceFault::OtherChain { evidence: home, home: ledger }.into());
    }
    let ledger = ledger::open(&config)?;
    let best = ledger.block_at(pivot.height)?.filter(|best| best.hash == pivot.hash);
    let depth = pivot.height.depth_under(Ledger::tip(&*ledger)?.height);
    Ok(Trust::Chain(best.map(|best| Found { height: Some(best.height), depth })))
}

/// Where a block is in a chain of headers, of which each must follow the one before.
fn find(bytes: &[u8], wanted: &BlockHash, genesis: BlockHash) -> Result<Option<Found>, Error> {
    let (mut parent, mut from_genesis, mut found, mut count) = (None, false, None, 0_u32);
    for header in headers(bytes) {
        let header = header?;
        if parent.is_some_and(|parent| header.prev_blockhash != parent) {
            return Err(EvidenceFault::HeaderChain(count).into());
        }
        let hash = header.block_hash();
        from_genesis |= count == 0 && hash == genesis;
        if hash == *wanted {
            found = Some(count);
        }
        parent = Some(hash);
        count = count.saturating_add(1);
    }
    let depth = |at: u32| Depth::new(count - at);
    Ok(found.map(|at| Found { height: from_genesis.then_some(Height::new(at)), depth: depth(at) }))
}

/// Headers as they are, or one a line in hexadecimal.
fn headers(bytes: &[u8]) -> Box<dyn Iterator<Item = Result<Header, Error>> + '_> {
    let header = |at: usize, bytes: &[u8]| {
        deserialize(bytes)
            .map_err(|_| EvidenceFault::HeaderChain(u32::try_from(at).unwrap_or(u32::MAX)).into())
    };
    let is_text =
        bytes.iter().take(2 * HEADER).all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace());
    if !is_text {
        return Box::new(bytes.chunks(HEADER).enumerate().map(move |(at, bytes)| header(at, bytes)));
    }
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    Box::new(lines.enumerate().map(move |(at, line)| {
        let line = std::str::from_utf8(line).unwrap_or_default();
        header(at, &Vec::from_hex(line).unwrap_or_default())
    }))
}

/// The name of a side.
pub(crate) const fn side(role: Role) -> &'static str {
    match role {
        Role::Initiator => "initiator",
        Role::Responder => "responder",
    }
}
