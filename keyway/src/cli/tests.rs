//! What the help says can be typed.

use clap::CommandFactory;

use super::*;

/// Every command with its full name.
fn commands(command: &clap::Command, name: &str, all: &mut Vec<(String, clap::Command)>) {
    all.push((name.to_owned(), command.clone()));
    for sub in command.get_subcommands() {
        commands(sub, &format!("{name} {}", sub.get_name()), all);
    }
}

fn all_commands() -> Vec<(String, clap::Command)> {
    let mut all = Vec::new();
    commands(&Cli::command(), "keyway", &mut all);
    all
}

/// The calls of `keyway` in a text, each as its words, as a shell would read them.
fn calls(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| line.starts_with("  "));
    let parts = lines.flat_map(|line| {
        parts(line).into_iter().filter(|words| words.first().is_some_and(|w| w == "keyway"))
    });
    parts.collect()
}

/// The commands of a line that pipes and lists part, without comments and redirections.
fn parts(line: &str) -> Vec<Vec<String>> {
    let mut parts = vec![Vec::new()];
    let mut words = words(line).into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "|" | "||" | "&&" => parts.push(Vec::new()),
            ">" | ">>" | "<" => drop(words.next()),
            "#" => break,
            _ => parts.last_mut().unwrap().push(word),
        }
    }
    parts
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    assert!(!quoted, "{line}");
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_an_example_that_can_be_typed() {
    for (name, command) in all_commands() {
        let help = command.get_after_help().unwrap_or_else(|| panic!("{name} has no example")).to_string();
        let calls = calls(help.split_once("Example:").unwrap_or_else(|| panic!("{name} has no example")).1);
        assert!(!calls.is_empty(), "{name} has no example");
        for call in &calls {
            if let Err(error) = Cli::try_parse_from(call) {
                panic!("the help of `{name}` shows `{}`:\n{error}", call.join(" "));
            }
        }
        let of_itself = |call: &Vec<String>| {
            let mut parts = name.split(' ').skip(1).peekable();
            for word in call {
                let _ = parts.next_if(|part| part == word);
            }
            parts.peek().is_none()
        };
        assert!(calls.iter().any(of_itself), "no example of `{name}` shows it");
    }
}

#[test]
fn every_topic_has_an_example_that_can_be_typed() {
    for (name, text) in TOPICS {
        let calls = calls(text.split_once("Example:").unwrap().1);
        assert!(!calls.is_empty(), "{name}");
        for call in calls {
            assert!(Cli::try_parse_from(&call).is_ok(), "{name}: {call:?}");
        }
    }
}

#[test]
fn every_command_and_option_says_what_it_is() {
    for (name, command) in all_commands() {
        assert!(command.get_about().is_some(), "{name}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some() || argument.is_hide_set(), "{name} {}", argument.get_id());
        }
    }
}

/// Lines that are broken in the middle cannot be copied.
#[test]
fn examples_fit_a_terminal_of_80_columns() {
    for (name, command) in all_commands() {
        for line in
            command.get_after_help().unwrap().to_string().lines().filter(|line| line.starts_with("  "))
        {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
    }
}
