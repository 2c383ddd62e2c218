//! The files in `vectors/`, compared with what the code gives, or written on demand.

use std::path::{Path, PathBuf};

use crate::json::Json;

/// Set to 1 to write the files instead of comparing them.
const WRITE: &str = "KEYWAY_WRITE_VECTORS";

/// `vectors/` of the workspace, which is one level above each of its crates.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

/// That the file holds exactly these vectors.
pub fn check(name: &str, vectors: &Json) {
    let (path, made) = (folder().join(name), vectors.render());
    if std::env::var_os(WRITE).is_some_and(|value| value == "1") {
        std::fs::write(&path, made).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if found != made {
        let lines = made.lines().zip(found.lines()).enumerate();
        let differing = lines.map(|(line, pair)| (line + 1, pair)).find(|(_, (made, found))| made != found);
        panic!(
            "vectors/{name} is not what the code gives; first in (line, (code, file)): {differing:?}\n\
             If the protocol is meant to change, write it anew with {WRITE}=1.",
        );
    }
}
