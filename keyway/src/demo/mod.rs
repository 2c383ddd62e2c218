//! `keyway demo`: the product's main job from nothing to sealed messages, on a real chain of its own.

mod checks;
mod folder;
mod play;
mod story;
mod timeline;
mod words;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use folder::FolderError;

use crate::cli::{Demo, Global};
use crate::error::{Error, Kind};
use crate::ui::Ui;
use folder::Folder;
use story::Story;

const DEFAULT_FOLDER: &str = "keyway-demo";

/// One run for each carrier that was shown.
#[derive(Serialize)]
struct Demonstrated {
    runs: Vec<Story>,
}

/// Runs it and tells what happened.
///
/// # Errors
/// If anything is not as it should be.
pub fn run(global: &Global, args: &Demo, ui: &Ui) -> Result<(), Error> {
    let folder = match &global.home {
        Some(dir) => Folder::prepare(dir.clone(), args.fresh)?,
        None if args.fresh => Folder::prepare(PathBuf::from(DEFAULT_FOLDER), true)?,
        None => Folder::prepare_unused(Path::new(DEFAULT_FOLDER))?,
    };
    match play::play(&folder, args, ui) {
        Ok(runs) => {
            ui.data(&Demonstrated { runs }, |demo| timeline::text(&demo.runs, ui.paint(), ui.width()))
        }
        Err(error) => {
            // What was refused leaves nothing to look at; what failed may be looked into.
            if error.kind() == Kind::Refused {
                folder.clear()?;
            }
            Err(error)
        }
    }
}
