//! What dotenvy reads of each file that standard input names: a line of JSON each,
//! names with values in hex. Of two values of a name the first one counts, as where
//! dotenvy sets the environment.

use std::collections::HashSet;
use std::io::{stdin, BufRead};

fn read(path: &str) -> Option<String> {
    let (mut members, mut names) = (Vec::new(), HashSet::new());
    for item in dotenvy::from_path_iter(path).ok()? {
        let (name, value) = item.ok()?;
        if !names.insert(name.clone()) {
            continue;
        }
        let hex: String = value.bytes().map(|b| format!("{b:02x}")).collect();
        members.push(format!("\"{name}\":\"{hex}\""));
    }
    Some(format!("{{{}}}", members.join(",")))
}

fn main() {
    for path in stdin().lock().lines() {
        println!("{}", read(&path.unwrap()).unwrap_or("null".to_string()));
    }
}
