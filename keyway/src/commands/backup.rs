//! `backup`.

use keyway_node::{Backup, RestoreError};
use serde::Serialize;

use crate::amount::{counted, grouped};
use crate::cli::BackupArgs;
use crate::context::Context;
use crate::error::Error;
use crate::files;
use crate::ui::Ui;

/// `keyway backup`
pub fn run(context: &mut Context<'_>, args: &BackupArgs, ui: &Ui) -> Result<(), Error> {
    let backup = context.party()?.backup()?;
    if context.is_served() || to_stdout(args) { tell(&backup, ui) } else { write(&backup, args, ui) }
}

/// Writes the text that another process gave where it was asked for: that one may stand in another folder.
///
/// # Errors
/// [`Error::Write`]; it is no backup.
pub fn deliver(text: &str, args: &BackupArgs, ui: &Ui) -> Result<(), Error> {
    write(&text.parse::<Backup>().map_err(RestoreError::Backup)?, args, ui)
}

/// Whether it goes to standard output.
pub fn to_stdout(args: &BackupArgs) -> bool {
    args.file.as_os_str() == "-"
}

fn write(backup: &Backup, args: &BackupArgs, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Written {
        file: String,
        bytes: usize,
        height: u32,
        peers: usize,
    }
    let text = backup.to_string();
    files::replace(&args.file, text.as_bytes())?;
    let written = Written {
        file: args.file.display().to_string(),
        bytes: text.len(),
        height: backup.tip().height.to_u32(),
        peers: backup.peers(),
    };
    ui.data(&written, |it| {
        format!("{}  of block {}, with {}", it.file, grouped(it.height), counted(it.peers, "peer"))
    })?;
    ui.say("  without secrets; with the mnemonic, which is not in it, it restores this party");
    Ok(())
}

fn tell(backup: &Backup, ui: &Ui) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Text {
        backup: String,
    }
    ui.data(&Text { backup: backup.to_string() }, |text| text.backup.clone())
}
