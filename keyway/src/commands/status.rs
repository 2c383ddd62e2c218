//! `status` and `config check`.

use bitcoin::Amount;
use keyway_node::{
    Access, CONFIG_FILE, Config, LedgerConfig, NegotiationView, NodeError, Policy, STORE_FILE,
};
use keyway_protocol::card::Name;
use keyway_protocol::state::State;
use serde::Serialize;

use crate::amount::{grouped, sat};
use crate::cli::Global;
use crate::context::Context;
use crate::error::Error;
use crate::render::json::{CoinJson, RotationJson};
use crate::render::layout::{table, wrap};
use crate::render::negotiation::{outlook, short, standing};
use crate::render::time::age;
use crate::ui::Ui;
use crate::unlock;

#[derive(Serialize)]
struct StatusJson {
    name: String,
    chain: &'static str,
    height: u32,
    block_time: Option<u32>,
    spendable_sat: u64,
    held_sat: u64,
    lent_sat: u64,
    immature_sat: u64,
    coins: usize,
    unmined: usize,
    address: String,
    peers: Vec<PeerJson>,
}

#[derive(Serialize)]
struct PeerJson {
    peer: String,
    negotiation: Option<String>,
    fingerprint: Option<String>,
    epoch: usize,
    since_height: Option<u32>,
    state: Option<&'static str>,
    confirmed: bool,
    waiting: Option<String>,
    coin: Option<CoinJson>,
    rotation: Option<RotationJson>,
}

/// `keyway status`
pub fn status(context: &mut Context<'_>, ui: &Ui) -> Result<(), Error> {
    let party = context.party()?;
    let status = party.status()?;
    let views = party.negotiations()?;
    let peers: Vec<Peer> =
        party.peers().iter().map(|card| Peer::new(card.permanent().name.to_string(), &views)).collect();
    let chain = party.config().chain.name();
    let block = party.block(status.tip.height);
    let json = StatusJson {
        name: status.name.clone(),
        chain,
        height: status.tip.height.to_u32(),
        block_time: block.map(|block| block.time),
        spendable_sat: status.balance.spendable.to_sat(),
        held_sat: status.balance.held.to_sat(),
        lent_sat: status.balance.lent.to_sat(),
        immature_sat: status.balance.immature.to_sat(),
        coins: status.balance.coins,
        unmined: status.unmined,
        address: party.address(),
        peers: peers.iter().map(Peer::json).collect(),
    };
    ui.data(&json, |json| {
        let mut parts = vec![
            ui.paint().bold(&status.name),
            chain.to_owned(),
            format!("block\u{a0}{}", grouped(json.height)),
            sat(status.balance.spendable),
            format!("{}\u{a0}identity\u{a0}coins", json.coins),
        ];
        if let (Some(part), Some(block)) = (parts.get_mut(2), block) {
            part.push_str(&format!("\u{a0}({}\u{a0}ago)", age(block.time)));
        }
        if json.unmined > 0 {
            parts.push(format!("{}\u{a0}unmined", json.unmined));
        }
        if json.held_sat > 0 {
            parts.push(format!("{} held for answers", sat(status.balance.held)));
        }
        if json.lent_sat > 0 {
            parts.push(format!("{} lent to prepared offers", sat(status.balance.lent)));
        }
        let mut lines = wrap(&parts.join(" · "), ui.width());
        if !peers.is_empty() {
            lines.push(Peer::table(&peers, ui.width()));
        }
        lines.join("\n")
    })
}

/// A peer and the key that matters with it now.
struct Peer<'a> {
    name: String,
    epochs: usize,
    /// The active key; else the latest negotiation.
    key: Option<&'a NegotiationView>,
    /// A later negotiation under way.
    coming: Option<&'a NegotiationView>,
}

impl<'a> Peer<'a> {
    fn new(name: String, views: &'a [NegotiationView]) -> Self {
        let with: Vec<&NegotiationView> = views.iter().filter(|view| view.peer == name).collect();
        let epochs = with.iter().filter(|view| view.state.opens()).count();
        let active = with.iter().rev().find(|view| view.state.seals()).copied();
        let last = with.last().copied();
        let key = active.or(last);
        let coming = last.filter(|last| key.is_some_and(|key| key.id != last.id));
        Self { name, epochs, key, coming }
    }

    fn json(&self) -> PeerJson {
        PeerJson {
            peer: self.name.clone(),
            negotiation: self.key.map(|view| view.id.to_string()),
            fingerprint: self.key.and_then(|view| view.fingerprint).map(|print| print.to_string()),
            epoch: self.epochs,
            since_height: self.since().map(|block| block.at.height.to_u32()),
            state: self.key.map(|view| view.state.name()),
            confirmed: self.key.is_some_and(|view| view.confirmed),
            waiting: self.coming.or(self.key).and_then(|view| view.waiting.as_ref()).map(ToString::to_string),
            coin: self.key.and_then(|view| view.coin.as_ref()).map(CoinJson::from),
            rotation: self.key.and_then(|view| view.rotation).map(RotationJson::from),
        }
    }

    fn since(&self) -> Option<keyway_node::Block> {
        self.key?.answer.as_ref()?.block
    }

    fn row(&self) -> Vec<String> {
        let nothing = || "—".to_owned();
        vec![
            self.name.clone(),
            self.key.map_or_else(nothing, |view| short(&view.id)),
            if self.epochs == 0 { nothing() } else { self.epochs.to_string() },
            self.since().map_or_else(nothing, |block| age(block.time)),
            self.state(),
        ]
    }

    fn state(&self) -> String {
        let Some(key) = self.key else { return "no negotiation yet".to_owned() };
        match self.coming {
            Some(coming) if coming.state != State::Superseded => {
                format!("{}; the next is {}", standing(key), outlook(coming))
            }
            _ => outlook(key),
        }
    }

    fn table(peers: &[Self], width: usize) -> String {
        let rows: Vec<_> = peers.iter().map(Self::row).collect();
        table(&["peer", "key", "epoch", "age", "state"], &rows, width)
    }
}

#[derive(Serialize)]
struct Checked {
    file: String,
    settings: Vec<Setting>,
}

#[derive(Serialize)]
struct Setting {
    name: &'static str,
    value: String,
    source: &'static str,
}

/// `keyway config check`
pub fn config(global: &Global, ui: &Ui) -> Result<(), Error> {
    let home = unlock::home(global)?;
    if !home.join(STORE_FILE).exists() {
        return Err(NodeError::NoHome(home).into());
    }
    let file = home.join(CONFIG_FILE);
    let config = Config::load(&file)?;
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let checked = Checked { file: file.display().to_string(), settings: settings(&config, &text) };
    ui.data(&checked, |checked| {
        let row = |setting: &Setting| {
            vec![setting.name.to_owned(), setting.value.clone(), setting.source.to_owned()]
        };
        let rows: Vec<_> = checked.settings.iter().map(row).collect();
        format!("{}\n\n{}", checked.file, table(&["setting", "value", "source"], &rows, ui.width()))
    })
}

fn settings(config: &Config, text: &str) -> Vec<Setting> {
    let Policy { answer, offer_depth, key_depth, least_price, liveness } = config.policy;
    let rotation = config.rotation;
    let setting = |name: &'static str, value: String| {
        let key = name.rsplit('.').next().unwrap_or(name);
        let is_there = text.lines().any(|line| {
            line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
        });
        Setting { name, value, source: if is_there { "in the file" } else { "default" } }
    };
    let challenge = config.chain.challenge().map(|script| ("signet_challenge", script.to_hex_string()));
    let mut settings = vec![setting("chain", config.chain.name().to_owned())];
    settings.extend(challenge.into_iter().chain(ledger_settings(&config.ledger)).map(|(n, v)| setting(n, v)));
    settings.extend([
        setting("policy.answer", answer.to_string()),
        setting("policy.offer_depth", offer_depth.to_string()),
        setting("policy.key_depth", key_depth.to_string()),
        setting("policy.least_price_sat", least_price.to_sat().to_string()),
        setting("policy.liveness", liveness.to_string()),
        setting("policy.suites", listed(&config.accepts.suites)),
        setting("policy.carriers", listed(&config.accepts.carriers)),
        setting("policy.groups_from", names(&config.accepts.groups_from)),
        setting("rotation.after_blocks", rotation.after_blocks.unwrap_or(0).to_string()),
        setting("rotation.after_hours", rotation.after_hours.unwrap_or(0).to_string()),
        setting("rotation.after_mib", rotation.after_mib.unwrap_or(0).to_string()),
        setting("rotation.price_sat", rotation.price.map_or(0, Amount::to_sat).to_string()),
        setting("introductions.accept_by", names(&config.introductions.accept_by)),
        setting(
            "introductions.roster",
            config
                .introductions
                .roster
                .as_ref()
                .map_or_else(|| "none".to_owned(), |path| path.display().to_string()),
        ),
        setting("fees.ceiling_sat_per_vb", config.fee_ceiling.to_sat_per_vb_floor().to_string()),
        setting("fees.bump_after_blocks", config.bump_after.to_string()),
        setting("fees.prepared_blocks", config.prepared_blocks.to_string()),
        setting("fees.give_up_blocks", config.give_up_after.unwrap_or(0).to_string()),
    ]);
    settings
}

fn names(names: &[Name]) -> String {
    if names.is_empty() { "nobody".to_owned() } else { listed(names) }
}

fn listed(items: &[impl std::fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn ledger_settings(ledger: &LedgerConfig) -> Vec<(&'static str, String)> {
    let shown = |path: &std::path::Path| path.display().to_string();
    match ledger {
        LedgerConfig::Embedded { path, enforce_exponent } => vec![
            ("ledger.kind", "embedded".to_owned()),
            ("ledger.path", shown(path)),
            ("ledger.enforce_exponent", enforce_exponent.to_string()),
        ],
        LedgerConfig::Node(node) => {
            let mut settings = vec![("ledger.kind", "node".to_owned()), ("ledger.url", node.url.clone())];
            match &node.access {
                Access::Cookie(path) => settings.push(("ledger.cookie", shown(path))),
                Access::User { name, password_file } => settings
                    .extend([("ledger.user", name.clone()), ("ledger.password_file", shown(password_file))]),
            }
            settings.extend(node.enforced.then(|| ("ledger.enforce_exponent", "true".to_owned())));
            settings
        }
    }
}
