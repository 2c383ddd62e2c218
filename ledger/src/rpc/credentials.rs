//! What a node wants before it answers.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Far more than a cookie has.
const MOST_BYTES: u64 = 4 << 10;

/// How a node knows its users.
pub enum Credentials {
    /// The file that the node writes at each start (`.cookie` in its folder).
    Cookie(Cookie),
    /// A name and password of its configuration.
    User {
        /// The name.
        name: String,
        /// The password.
        password: Zeroizing<String>,
    },
}

/// A node's cookie file, and what it held when it was read last.
pub struct Cookie {
    path: PathBuf,
    known: Mutex<Option<Zeroizing<String>>>,
}

/// Without the secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(cookie) => write!(f, "Cookie({})", cookie.path.display()),
            Self::User { name, .. } => write!(f, "User({name})"),
        }
    }
}

impl Credentials {
    /// Those of a cookie file, which is read when they are needed.
    pub fn cookie(path: impl Into<PathBuf>) -> Self {
        Self::Cookie(Cookie { path: path.into(), known: Mutex::new(None) })
    }

    /// A name and password.
    pub fn user(name: impl Into<String>, password: Zeroizing<String>) -> Self {
        Self::User { name: name.into(), password }
    }

    /// The value of the HTTP header, or why there is none.
    pub(super) fn header(&self) -> Result<Zeroizing<String>, String> {
        match self {
            Self::Cookie(cookie) => cookie.value().map(|value| basic(&value)),
            Self::User { name, password } => {
                Ok(basic(&Zeroizing::new(format!("{name}:{}", password.as_str()))))
            }
        }
    }

    /// Forgets what a cookie file held. `false` if the same would be said again.
    pub(super) fn renew(&self) -> bool {
        match self {
            Self::Cookie(cookie) => cookie.renew(),
            Self::User { .. } => false,
        }
    }

    /// What it means when the node refuses them.
    pub(super) fn refused(&self) -> String {
        match self {
            Self::Cookie(cookie) => {
                format!("it does not accept the cookie {}: that may be another node's", cookie.path.display())
            }
            Self::User { name, .. } => format!("it does not accept the password of user `{name}`"),
        }
    }
}

impl Cookie {
    fn value(&self) -> Result<Zeroizing<String>, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*known {
            return Ok(value.clone());
        }
        let value = read(&self.path)
            .map_err(|error| format!("its cookie {} cannot be read: {error}", self.path.display()))?;
        Ok(known.insert(value).clone())
    }

    fn renew(&self) -> bool {
        let old = self.known.lock().unwrap_or_else(PoisonError::into_inner).take();
        matches!((old, self.value()), (Some(old), Ok(new)) if *old != *new)
    }
}

fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)?.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn basic(pair: &Zeroizing<String>) -> Zeroizing<String> {
    Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_print() {
        let credentials = Credentials::user("alice", Zeroizing::new("hunter2".to_owned()));
        assert_eq!(format!("{credentials:?}"), "User(alice)");
        assert_eq!(credentials.header().unwrap().as_str(), "Basic YWxpY2U6aHVudGVyMg==");
    }

    #[test]
    fn the_cookie_of_a_node_that_started_anew_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".cookie");
        let credentials = Credentials::cookie(&path);
        assert!(credentials.header().unwrap_err().contains(".cookie cannot be read"));
        std::fs::write(&path, "__cookie__:one\n").unwrap();
        let first = credentials.header().unwrap();
        assert!(!credentials.renew(), "the same as before");
        std::fs::write(&path, "__cookie__:two\n").unwrap();
        assert_eq!(credentials.header().unwrap(), first);
        assert!(credentials.renew());
        assert_ne!(credentials.header().unwrap(), first);
    }
}
