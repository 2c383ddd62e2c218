//! The three streams: data on stdout, talk on stderr, progress on stderr if it is a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::cli::{ColorWhen, Global};
use crate::error::Error;
use crate::render::paint::Paint;

/// Lines are written for this width where nobody says another.
const WIDTH: usize = 100;
/// Narrower than this nothing can be laid out.
const LEAST_WIDTH: usize = 40;

/// How to talk to whoever started this process.
#[derive(Debug)]
pub struct Ui {
    json: bool,
    quiet: bool,
    out: Paint,
    err: Paint,
    width: usize,
    colored: bool,
    captured: Option<Mutex<Captured>>,
}

/// What would have gone to the two streams.
#[derive(Debug, Default)]
struct Captured {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Ui {
    /// As the options and the terminal say.
    pub fn new(global: &Global) -> Self {
        let colored = in_color(global.color, io::stdout().is_terminal());
        Self {
            json: global.json,
            quiet: global.quiet,
            out: Paint::new(colored),
            err: Paint::new(in_color(global.color, io::stderr().is_terminal())),
            width: width(),
            colored,
            captured: None,
        }
    }

    /// Keeps what would go to the two streams, for another process.
    pub fn captured(global: &Global, colored: bool, width: Option<usize>) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            out: Paint::new(colored),
            err: Paint::new(colored),
            width: width.unwrap_or(WIDTH).clamp(LEAST_WIDTH, WIDTH),
            colored,
            captured: Some(Mutex::default()),
        }
    }

    /// What went to standard output and to standard error.
    pub fn into_captured(self) -> (Vec<u8>, Vec<u8>) {
        let captured =
            self.captured.map(|captured| captured.into_inner().unwrap_or_else(PoisonError::into_inner));
        let Captured { out, err } = captured.unwrap_or_default();
        (out, err)
    }

    /// Whether data are coloured.
    pub fn in_color(&self) -> bool {
        self.colored
    }

    /// Whether data go out as JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Colours for what goes to stdout.
    pub fn paint(&self) -> Paint {
        self.out
    }

    /// Columns of a line.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether progress is shown.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && self.captured.is_none() && io::stderr().is_terminal()
    }

    /// Data: as JSON if that was asked for, else as `text` gives it.
    ///
    /// # Errors
    /// If stdout takes no more. That its reader closed it is no error.
    pub fn data<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Error> {
        let text = if self.json { to_json(value) } else { text(value) };
        self.bytes(with_line_end(&text).as_bytes())
    }

    /// Text that is the same for people and programs.
    ///
    /// # Errors
    /// As [`Ui::data`].
    pub fn text(&self, text: &str) -> Result<(), Error> {
        self.bytes(with_line_end(text).as_bytes())
    }

    /// Bytes as they are.
    ///
    /// # Errors
    /// As [`Ui::data`].
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(captured) = &self.captured {
            captured.lock().unwrap_or_else(PoisonError::into_inner).out.extend_from_slice(bytes);
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Stdout(error)),
            _ => Ok(()),
        }
    }

    /// Talk.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.err_line(text);
        }
    }

    fn err_line(&self, text: &str) {
        let line = plain(text) + "\n";
        let _ = match &self.captured {
            Some(captured) => {
                captured.lock().unwrap_or_else(PoisonError::into_inner).err.write_all(line.as_bytes())
            }
            None => io::stderr().lock().write_all(line.as_bytes()),
        };
    }

    /// What went wrong.
    pub fn failed(&self, error: &Error) {
        let text = if self.json { error.to_json() } else { self.error_text(error) };
        self.err_line(&text);
    }

    fn error_text(&self, error: &Error) -> String {
        let parts = error.parts();
        let head = format!("{} {}", self.err.error("error:"), parts.what);
        let more = parts.why.iter().chain([&parts.todo]).map(|line| format!("\n  {line}"));
        std::iter::once(head).chain(more).collect()
    }
}

fn in_color(when: ColorWhen, is_terminal: bool) -> bool {
    let unwanted = || {
        std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
    };
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => is_terminal && !unwanted(),
    }
}

/// The terminal's, or what the environment says, as `COLUMNS=60 keyway demo | less` does.
fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = terminal_size::terminal_size().map(|(terminal_size::Width(width), _)| width.into());
    told.or(terminal).unwrap_or(WIDTH).clamp(LEAST_WIDTH, WIDTH)
}

fn to_json<T: Serialize>(value: &T) -> String {
    // Structs of this crate with string keys: their serialization cannot fail.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn with_line_end(text: &str) -> String {
    let text = plain(text);
    if text.is_empty() || text.ends_with('\n') { text } else { text + "\n" }
}

/// No-break spaces have done their work when lines are laid out.
fn plain(text: &str) -> String {
    text.replace('\u{a0}', " ")
}
