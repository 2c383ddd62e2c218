//! `keyway params generate`

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::path::Path;

use keyway_protocol::suite::{Numbers, expected_draws, generate as search};
use serde::Serialize;

use super::{GroupJson, short};
use crate::cli::params::ParamsGenerate;
use crate::error::Error;
use crate::files;
use crate::progress;
use crate::ui::Ui;

#[derive(Serialize)]
struct Generated {
    #[serde(flatten)]
    group: GroupJson,
    draws: u64,
}

/// `keyway params generate`
///
/// # Errors
/// The system's randomness, and the file's.
pub fn generate(args: &ParamsGenerate, ui: &Ui) -> Result<(), Error> {
    if let Some(path) = args.out.as_deref().filter(|path| path.exists()) {
        return Err(Error::Exists(path.to_owned()));
    }
    let (numbers, draws) = found(args.bits, ui)?;
    match &args.out {
        Some(path) => write(path, &numbers, draws, ui),
        None => ui.data(&Generated { group: (&numbers).into(), draws }, |_| text(&numbers, draws)),
    }
}

/// A fresh group, and how many candidates it took.
///
/// # Errors
/// The system's randomness.
pub fn found(bits: u32, ui: &Ui) -> Result<(Numbers, u64), Error> {
    let expected = expected_draws(bits);
    ui.say(&format!("  drawing a safe prime of {bits} bits: about {expected} draws are expected"));
    let search_bar = progress::draws(ui, expected);
    let (draws, failed) = (Cell::new(0), RefCell::new(None));
    let fill = |bytes: &mut [u8]| {
        if let Err(error) = getrandom::fill(bytes) {
            failed.replace(Some(error));
        }
    };
    let numbers = search(bits, fill, || {
        draws.set(draws.get() + 1);
        search_bar.advance(1);
    });
    // What was drawn without randomness is thrown away.
    match failed.into_inner() {
        Some(error) => Err(Error::Randomness(error)),
        None => Ok((numbers, draws.get())),
    }
}

fn write(path: &Path, numbers: &Numbers, draws: u64, ui: &Ui) -> Result<(), Error> {
    files::write_new(path, text(numbers, draws).as_bytes())?;
    let generated = Generated { group: numbers.into(), draws };
    ui.data(&generated, |generated| {
        format!("group  {}  {} bits, in {}", short(numbers), generated.group.bits, path.display())
    })
}

fn text(numbers: &Numbers, draws: u64) -> String {
    let mut text = numbers.to_string();
    // Writing into a string does not fail.
    let _ = write!(text, "# digest {}, found in {draws} draws", short(numbers));
    text
}
