//! What each command does: ask `keyway_node`, then tell.

pub mod backup;
pub mod cards;
mod chain;
pub mod cost;
pub mod evidence;
mod generate;
pub mod init;
mod keys;
mod lab;
mod messages;
mod offer;
pub mod params;
mod prepared;
mod restore;
pub mod revoke;
mod script;
mod status;
mod sync;
mod trace;

pub use self::sync::Teller;
use crate::cli::params::ParamsAction;
use crate::cli::{Cli, Command, ConfigAction, EvidenceAction, PeerAction};
use crate::context::Context;
use crate::error::Error;
use crate::serve;
use crate::ui::Ui;

/// Runs what was asked for.
///
/// # Errors
/// Those of the command.
pub fn run(cli: Cli, ui: &Ui) -> Result<(), Error> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(args) => init::run(&global, &args, ui),
        Command::Fund(args) => chain::fund(&global, &args, ui),
        Command::Mine(args) => chain::mine(&global, &args, ui),
        Command::Serve(args) => serve::run(&global, &args, ui),
        #[cfg(feature = "exponent")]
        Command::Enforce(args) => crate::enforce::run(&args, ui),
        Command::Cost(args) => cost::run(&args, ui),
        Command::Params { action: ParamsAction::Generate(args) } => params::generate(&args, ui),
        Command::Config { action: ConfigAction::Check } => status::config(&global, ui),
        Command::Config { action: ConfigAction::Sample(args) } => generate::sample(&args, ui),
        Command::Evidence { action } => evidence::run(&global, &action, ui),
        Command::Script { action } => script::script(&action, ui),
        Command::Demo(args) => chain::demo(&global, &args, ui),
        Command::Completions(args) => generate::completions(&args, ui),
        Command::Man(args) => generate::man(&args, ui),
        Command::Help(args) => generate::help(&args, ui),
        command => with_home(command, Context::alone(&global, ui), ui),
    }
}

/// Runs what another process asked for, on the home that this one has open.
///
/// # Errors
/// Those of the command; [`Error::NotServed`] for one that needs no open home.
pub fn run_served(cli: Cli, context: Context<'_>, ui: &Ui) -> Result<(), Error> {
    with_home(cli.command, context, ui)
}

fn with_home(command: Command, mut context: Context<'_>, ui: &Ui) -> Result<(), Error> {
    let context = &mut context;
    match command {
        Command::Card(args) => cards::card(context, &args, ui),
        Command::Backup(args) => backup::run(context, &args, ui),
        Command::Peer { action: PeerAction::Add(args) } => cards::add(context, &args, ui),
        Command::Peer { action: PeerAction::List } => cards::list(context, ui),
        Command::Peer { action: PeerAction::Remove(args) } => cards::remove(context, &args, ui),
        Command::Peer { action: PeerAction::Introduce(args) } => cards::introduce(context, &args, ui),
        Command::Peer { action: PeerAction::Import(args) } => cards::import(context, &args, ui),
        Command::Peer { action: PeerAction::Revoke(args) } => cards::revoke(context, &args, ui),
        Command::Offer(args) => offer::run(context, &args, ui),
        Command::Rotate(args) => offer::rotate(context, &args, ui),
        Command::Psbt(args) => prepared::print(context, &args, ui),
        Command::Submit(args) => prepared::submit(context, &args, ui),
        Command::Cancel(args) => prepared::cancel(context, &args, ui),
        Command::Revoke(args) => revoke::run(context, &args, ui),
        Command::Sync => sync::run(context, ui),
        Command::Keys(args) => keys::keys(context, &args, ui),
        Command::Show(args) => keys::show(context, &args, ui),
        Command::Trace(args) => trace::run(context, &args, ui),
        Command::Evidence { action: EvidenceAction::Export(args) } => evidence::export(context, &args, ui),
        Command::Seal(args) => messages::seal(context, &args, ui),
        Command::Open(args) => messages::open(context, &args, ui),
        Command::Status => status::status(context, ui),
        Command::Params { action: ParamsAction::Publish(args) } => params::publish(context, &args, ui),
        Command::Params { action: ParamsAction::List(args) } => params::list(context, &args, ui),
        Command::Params { action: ParamsAction::Check(args) } => params::check(context, &args, ui),
        Command::Lab { action } => lab::run(context, &action, ui),
        _ => Err(Error::NotServed),
    }
}
