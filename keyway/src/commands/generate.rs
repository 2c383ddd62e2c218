//! What the argument parser can say about itself: completions, manual pages, help.

use std::path::Path;

use clap::CommandFactory;
use keyway_node::{Config, LedgerConfig, NodeConfig};
use serde::Serialize;

use crate::cli::{Cli, Completions, ConfigSample, Help, Man, TOPICS};
use crate::error::Error;
use crate::ui::Ui;

/// The folder of the user that a node runs as, where nothing better is known.
const NODE_HOME: &str = "/home/node";

/// `keyway completions`
pub fn completions(args: &Completions, ui: &Ui) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keyway", &mut script);
    ui.bytes(&script)
}

/// `keyway man`
pub fn man(args: &Man, ui: &Ui) -> Result<(), Error> {
    let mut command = Cli::command();
    command.build();
    match &args.out {
        None => ui.bytes(&page(command, "keyway")?),
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|source| Error::Write { path: dir.clone(), source })?;
            let count = pages(&command, "keyway", dir)?;
            ui.say(&format!("  {count} pages in {}", dir.display()));
            Ok(())
        }
    }
}

fn pages(command: &clap::Command, name: &str, dir: &Path) -> Result<usize, Error> {
    let path = dir.join(format!("{name}.1"));
    let bytes = page(command.clone(), name)?;
    std::fs::write(&path, bytes).map_err(|source| Error::Write { path, source })?;
    let mut count = 1;
    for sub in command.get_subcommands() {
        count += pages(sub, &format!("{name}-{}", sub.get_name()), dir)?;
    }
    Ok(count)
}

fn page(command: clap::Command, name: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let command = command.disable_help_flag(true).display_name(name.to_owned());
    clap_mangen::Man::new(command).title(name.to_uppercase()).render(&mut bytes).map_err(Error::Stdout)?;
    Ok(bytes)
}

#[derive(Serialize)]
struct Sample {
    config: String,
}

/// `keyway config sample`
pub fn sample(args: &ConfigSample, ui: &Ui) -> Result<(), Error> {
    let chain = args.chain.clone();
    // As a service finds it: in the home folder of the node's own user.
    let node = NodeConfig::usual(&chain, Path::new(NODE_HOME));
    let config = Config::new(chain, LedgerConfig::Node(node)).to_toml();
    ui.data(&Sample { config }, |sample| sample.config.trim_end().to_owned())
}

/// `keyway help`
pub fn help(args: &Help, ui: &Ui) -> Result<(), Error> {
    if let [topic] = &args.topic[..]
        && let Some((_, text)) = TOPICS.iter().find(|(name, _)| name == topic)
    {
        return ui.text(text);
    }
    let mut command = Cli::command();
    command.build();
    let mut found = &mut command;
    for name in &args.topic {
        found = found.find_subcommand_mut(name).ok_or_else(|| no_help(&args.topic))?;
    }
    let help = found.render_long_help();
    let colored = ui.paint().is_on();
    ui.text(&if colored { help.ansi().to_string() } else { help.to_string() })
}

fn no_help(topic: &[String]) -> Error {
    let topics = TOPICS.map(|(name, _)| name).join(", ");
    Error::NoHelp(topic.join(" "), topics)
}
