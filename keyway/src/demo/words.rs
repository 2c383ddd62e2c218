//! Commands that work when they are copied.

use std::path::Path;

/// This program as it can be typed from here.
pub fn program() -> String {
    let Some(name) = std::env::args_os().next() else { return "keyway".to_owned() };
    let path = Path::new(&name);
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    quoted(relative.unwrap_or(path))
}

/// A path as one word of a shell.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        assert_eq!(quoted(Path::new("keyway-demo/car")), "keyway-demo/car");
        assert_eq!(quoted(Path::new("my demo")), "'my demo'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }
}
