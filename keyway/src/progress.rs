//! Progress on the terminal, with a rate and an end; nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keyway_chain::Height;
use keyway_ledger::Ledger;
use keyway_node::{NodeError, Party, Synced, Unlock};

use crate::ui::Ui;

/// Work shorter than this is over before anybody wonders.
const PATIENCE: Duration = Duration::from_millis(300);

/// A bar for `total` of something, hidden where progress is not shown; it vanishes when it is dropped.
pub fn bar(ui: &Ui, what: &'static str, unit: &str, total: u64) -> Bar {
    let bar = ProgressBar::with_draw_target(Some(total), target(ui));
    let template = format!("  {{msg}} [{{bar:30}}] {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what);
    Bar(bar)
}

/// How far a search has come that ends by chance: after `expected` draws on average.
pub fn draws(ui: &Ui, expected: u64) -> Bar {
    let bar = ProgressBar::with_draw_target(None, target(ui));
    let template =
        format!("  {{spinner}} {{pos}} draws of about {expected}, {{per_sec}}, {{elapsed}} so far");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    Bar(bar)
}

/// A bar that leaves no trace.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// So much more is done.
    pub fn advance(&self, by: u64) {
        self.0.inc(by);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A sign of life while a passphrase is stretched: it takes the better part of a second on purpose.
pub fn stretching(ui: &Ui, unlock: &Unlock) -> Option<Bar> {
    matches!(unlock, Unlock::Passphrase(_)).then(|| {
        let spinner = ProgressBar::with_draw_target(None, target(ui));
        spinner.set_message("opening the store (Argon2id, about a second)");
        spinner.enable_steady_tick(Duration::from_millis(100));
        Bar(spinner)
    })
}

/// [`Party::sync`] with a bar, if it takes a while.
///
/// # Errors
/// The party's.
pub fn sync(ui: &Ui, party: &mut Party, ledger: &dyn Ledger) -> Result<Synced, NodeError> {
    following(ui, party, ledger, |party, progress| party.sync(ledger, progress))
}

/// [`Party::restore`] with a bar, if it takes a while.
///
/// # Errors
/// The party's.
pub fn restore(ui: &Ui, party: &mut Party, ledger: &dyn Ledger) -> Result<Synced, NodeError> {
    following(ui, party, ledger, |party, progress| party.restore(ledger, progress))
}

fn following(
    ui: &Ui,
    party: &mut Party,
    ledger: &dyn Ledger,
    follow: impl FnOnce(&mut Party, &mut dyn FnMut(Height)) -> Result<Synced, NodeError>,
) -> Result<Synced, NodeError> {
    let from = party.tip().height;
    let blocks = blocks_between(from, ledger.tip()?.height);
    let started = std::time::Instant::now();
    let mut shown: Option<Bar> = None;
    let mut done = 0;
    follow(party, &mut |height| {
        let now = blocks_between(from, height);
        if shown.is_none() && started.elapsed() > PATIENCE && now < blocks {
            let fresh = bar(ui, "following the chain", "blocks", blocks);
            fresh.advance(done);
            shown = Some(fresh);
        }
        if let Some(bar) = &shown {
            bar.advance(now.saturating_sub(done));
        }
        done = done.max(now);
    })
}

fn blocks_between(from: Height, to: Height) -> u64 {
    u64::from(to.to_u32().saturating_sub(from.to_u32()))
}

fn target(ui: &Ui) -> ProgressDrawTarget {
    if ui.shows_progress() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
