//! What each command does: ask `keyway_node`, then tell.

mod cards;
mod chain;
mod generate;
mod init;
mod keys;
mod messages;
mod offer;
mod status;
mod sync;

use crate::cli::{Cli, Command, ConfigAction, PeerAction};
use crate::error::Error;
use crate::ui::Ui;

/// Runs what was asked for.
///
/// # Errors
/// Those of the command.
pub fn run(cli: Cli, ui: &Ui) -> Result<(), Error> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(args) => init::run(&global, &args, ui),
        Command::Card(args) => cards::card(&global, &args, ui),
        Command::Peer { action: PeerAction::Add(args) } => cards::add(&global, &args, ui),
        Command::Peer { action: PeerAction::List } => cards::list(&global, ui),
        Command::Peer { action: PeerAction::Remove(args) } => cards::remove(&global, &args, ui),
        Command::Fund(args) => chain::fund(&global, &args, ui),
        Command::Mine(args) => chain::mine(&global, &args, ui),
        Command::Offer(args) => offer::run(&global, &args, ui),
        Command::Sync => sync::run(&global, ui),
        Command::Keys(args) => keys::keys(&global, &args, ui),
        Command::Show(args) => keys::show(&global, &args, ui),
        Command::Seal(args) => messages::seal(&global, &args, ui),
        Command::Open(args) => messages::open(&global, &args, ui),
        Command::Status => status::status(&global, ui),
        Command::Config { action: ConfigAction::Check } => status::config(&global, ui),
        Command::Demo(args) => chain::demo(&global, &args, ui),
        Command::Completions(args) => generate::completions(&args, ui),
        Command::Man(args) => generate::man(&args, ui),
        Command::Help(args) => generate::help(&args, ui),
    }
}
