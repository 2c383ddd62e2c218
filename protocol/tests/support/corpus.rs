//! The fuzz targets' corpora: replayed as tests, and their seeds compared with what makes them, or written on demand.

use std::fs;
use std::path::{Path, PathBuf};

/// Set to 1 to write the seeds instead of comparing them.
const WRITE: &str = "KEYWAY_WRITE_SEEDS";

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

/// What is kept. Whatever else lies there a fuzzer found on this machine, and may be about to replace.
fn seeds(target: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder(target)).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "seed")).collect()
}

/// Runs every seed of the target.
pub fn replay(target: &str, run: fn(&[u8])) {
    for path in seeds(target) {
        println!("{}", path.display());
        run(&fs::read(&path).unwrap());
    }
}

/// That the target's seeds are these and no others.
pub fn check_seeds(target: &str, seeds_made: &[(&str, Vec<u8>)]) {
    let write = std::env::var_os(WRITE).is_some_and(|value| value == "1");
    for (name, bytes) in seeds_made {
        let path = folder(target).join(name).with_extension("seed");
        if write {
            fs::create_dir_all(folder(target)).unwrap();
            fs::write(&path, bytes).unwrap();
        }
        let found = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(found, *bytes, "{}: write it anew with {WRITE}=1", path.display());
    }
    assert_eq!(
        seeds(target).len(),
        seeds_made.len(),
        "fuzz/corpus/{target} holds seeds that nothing here makes"
    );
}
