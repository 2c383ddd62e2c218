//! Input without end: it is refused, and never held whole.

use std::fs;

use crate::stage::{Run, Stage};

/// `yes` never ends; whoever reads it whole has no memory left.
#[test]
fn input_without_end_is_refused_and_does_not_fill_the_memory() {
    let stage = Stage::new();
    stage.introduce();
    let long = |text: &str, most: usize| text.repeat(most / text.len() + 2);
    let refused = |run: Run, most: &str| {
        let told = run.explained(1);
        assert!(told.contains("is too long"), "{told}");
        assert!(told.contains(&format!("more than {most} bytes")), "{told}");
    };
    refused(stage.feed("--home car peer add -", long("keyway-card:", 128 << 10).as_bytes()), "131 072");
    refused(stage.feed("--home car open", long("keyway-sealed:", 96 << 20).as_bytes()), "100 663 296");
    refused(stage.run("--home car open /dev/zero"), "100 663 296");
    refused(stage.run("--home car --passphrase-file /dev/zero status"), "65 536");
    fs::write(stage.join("car/keyway.toml"), "# endless\n".repeat(10_000)).unwrap();
    let told = stage.run("--home car status").explained(1);
    assert!(told.contains("keyway.toml is wrong") && told.contains("more than 65536 bytes"), "{told}");
}
