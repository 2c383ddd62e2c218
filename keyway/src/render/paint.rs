//! Colours, where they are wanted.

/// Puts colour on text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// With colour, or without.
    pub const fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether there is colour.
    pub const fn is_on(self) -> bool {
        self.on
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A name or a figure that the eye should find.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// It is as it should be.
    #[cfg(feature = "embedded")]
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// The word before an error.
    pub fn error(self, text: &str) -> String {
        self.with("1;31", text)
    }
}
