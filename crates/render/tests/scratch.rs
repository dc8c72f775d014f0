#![allow(clippy::all, dead_code, unused, missing_docs, unreachable_pub)]
mod oracle {
    pub mod random;
    pub mod helm;
    pub fn cases(default: usize) -> usize {
        std::env::var("ORACLE_CASES").ok().and_then(|t| t.parse().ok()).unwrap_or(default)
    }
    pub fn seed() -> u64 {
        std::env::var("ORACLE_SEED").ok().and_then(|t| t.parse().ok()).unwrap_or(1)
    }
}
use oracle::helm::*;
#[test]
fn file() {
    let text = std::fs::read_to_string(std::env::var("CASES").unwrap()).unwrap();
    let show: usize = std::env::var("SHOW").ok().and_then(|t| t.parse().ok()).unwrap_or(40);
    let mut helm = Helm::start();
    let mut values = serde_json::json!({});
    let (mut n, mut bad) = (0, 0);
    for line in text.lines() {
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        if let Some(v) = line.strip_prefix("VALUES ") {
            values = serde_json::from_str(v).unwrap();
            continue;
        }
        n += 1;
        let t = if line.starts_with("{{") {
            line.to_owned()
        } else {
            format!("{{{{ printf \"%[1]T|%#[1]v\" ({line}) }}}}")
        };
        let d = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            difference(&mut helm, t.as_bytes(), &values)
        }));
        match d {
            Ok(None) => {}
            Ok(Some(d)) => {
                bad += 1;
                if bad <= show {
                    println!("{d}")
                }
            }
            Err(_) => {
                bad += 1;
                println!("PANIC {line}")
            }
        }
    }
    println!("{n} cases, {bad} differ");
}
