//! `vectors/check.py` was written from PROTOCOL.md in another language; it must find what the code gives.

use std::process::Command;

use crate::file;

#[test]
fn a_second_implementation_written_from_the_document_finds_the_same_values() {
    let script = file::folder().join("check.py");
    let output = match Command::new("python3").arg("-B").arg(script).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: there is no python3 on the PATH");
            return;
        }
        Err(error) => panic!("python3 does not start: {error}"),
    };
    let said = |stream: &[u8]| String::from_utf8_lossy(stream).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
}
