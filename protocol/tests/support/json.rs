//! JSON in a fixed order and layout: whoever reads the files meets the entries in the order of the document, and
//! a file is what the code gives if it is the same byte for byte.

use bitcoin::hex::DisplayHex;

/// Columns that a list of numbers fills before it goes on in the next line.
const WIDTH: usize = 100;

pub enum Json {
    Null,
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

/// An object with its entries in the order in which they are written.
macro_rules! object {
    ($($key:literal: $value:expr),* $(,)?) => {
        $crate::json::Json::Object(vec![$(($key, $crate::json::Json::from($value))),*])
    };
}
pub(crate) use object;

/// Bytes as text.
pub fn hex(bytes: impl AsRef<[u8]>) -> Json {
    Json::Text(bytes.as_ref().to_lower_hex_string())
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::Text(text)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Json::Number(number)
    }
}

impl From<u32> for Json {
    fn from(number: u32) -> Self {
        Json::Number(number.into())
    }
}

impl From<Vec<Json>> for Json {
    fn from(list: Vec<Json>) -> Self {
        Json::List(list)
    }
}

impl From<Option<Json>> for Json {
    fn from(value: Option<Json>) -> Self {
        value.unwrap_or(Json::Null)
    }
}

impl Json {
    /// A list of numbers.
    pub fn numbers<N: Into<u64>>(numbers: impl IntoIterator<Item = N>) -> Self {
        Json::List(numbers.into_iter().map(|number| Json::Number(number.into())).collect())
    }

    /// The whole file.
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text + "\n"
    }

    fn write(&self, text: &mut String, indent: usize) {
        match self {
            Json::Null => text.push_str("null"),
            Json::Number(number) => text.push_str(&number.to_string()),
            Json::Text(string) => text.push_str(&quoted(string)),
            Json::List(items) if items.iter().all(Json::is_number) => write_numbers(items, text, indent),
            Json::List(items) => {
                let items = items.iter().map(|item| (String::new(), item));
                write_block(['[', ']'], items, text, indent);
            }
            Json::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (format!("\"{key}\": "), value));
                write_block(['{', '}'], entries, text, indent);
            }
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Json::Number(_))
    }
}

fn write_block<'a>(
    [open, close]: [char; 2],
    items: impl Iterator<Item = (String, &'a Json)>,
    text: &mut String,
    indent: usize,
) {
    let margin = " ".repeat(indent + 2);
    text.push(open);
    for (nth, (key, item)) in items.enumerate() {
        text.push_str(if nth == 0 { "\n" } else { ",\n" });
        text.push_str(&format!("{margin}{key}"));
        item.write(text, indent + 2);
    }
    text.push_str(&format!("\n{}{close}", " ".repeat(indent)));
}

fn write_numbers(items: &[Json], text: &mut String, indent: usize) {
    let mut column = indent;
    text.push('[');
    for (nth, item) in items.iter().enumerate() {
        let number = item.render();
        let number = number.trim_end();
        if nth > 0 {
            text.push(',');
            text.push(' ');
        }
        if column + number.len() + 2 > WIDTH {
            text.truncate(text.trim_end().len());
            text.push_str(&format!("\n{}", " ".repeat(indent + 2)));
            column = indent + 2;
        }
        column += number.len() + 2;
        text.push_str(number);
    }
    text.push(']');
}

fn quoted(text: &str) -> String {
    assert!(text.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "printable ASCII only: {text}");
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
