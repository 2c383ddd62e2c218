//! Where the vectors are.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The file's JSON, or `None` with a message if the package's sources are not there.
pub fn read(name: &str) -> Option<Value> {
    let Some(path) = folder().map(|folder| folder.join(name)).filter(|path| path.exists()) else {
        println!("skipped: no {name} in the sources of libbitcoinkernel-sys");
        return None;
    };
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

fn folder() -> Option<PathBuf> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .ok()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).ok()?;
    let packages = metadata["packages"].as_array()?;
    let sys = packages.iter().find(|package| package["name"] == "libbitcoinkernel-sys")?;
    Some(Path::new(sys["manifest_path"].as_str()?).parent()?.join("bitcoin/src/test/data"))
}

/// The entry as text.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The entry's bytes.
pub fn bytes(value: &Value) -> Vec<u8> {
    bitcoin::hex::FromHex::from_hex(text(value)).unwrap_or_else(|error| panic!("{value}: {error}"))
}
