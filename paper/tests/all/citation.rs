//! CITATION.cff is YAML, and says what Cargo.toml says.

use std::path::{Path, PathBuf};

use yaml_rust2::{Yaml, YamlLoader};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn texts(value: &Yaml) -> Vec<&str> {
    value.as_vec().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn whoever_cites_keyway_finds_its_name_its_version_and_the_paper() {
    let documents = YamlLoader::load_from_str(&read("CITATION.cff")).unwrap();
    let [cff] = &documents[..] else { panic!("one document, not {}", documents.len()) };
    assert_eq!(cff["cff-version"].as_str(), Some("1.2.0"));
    assert!(cff["message"].as_str().is_some());
    assert_eq!((cff["title"].as_str(), cff["type"].as_str()), (Some("Keyway"), Some("software")));
    assert_eq!(cff["authors"][0]["name"].as_str(), Some("The Keyway developers"));
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let package = &manifest["workspace"]["package"];
    assert_eq!(cff["version"].as_str(), package["version"].as_str());
    assert_eq!(Some(texts(&cff["license"]).join(" OR ").as_str()), package["license"].as_str());
    let paper = &cff["references"][0];
    let errata = read("docs/ERRATA.md").replace('\n', " ");
    for said in [&paper["title"], &paper["journal"]] {
        assert!(errata.contains(said.as_str().unwrap()), "{said:?}");
    }
    assert!(errata.contains(paper["authors"][0]["name"].as_str().unwrap()));
    assert_eq!(paper["year"].as_i64(), Some(2019));
    assert!(errata.contains(&paper["notes"].as_str().unwrap().to_lowercase()));
}
