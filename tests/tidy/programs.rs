//! S12: what is shipped starts no program, so that nothing in a repository can be one. What a user's own
//! kubeconfig names for credentials is started by kube.

use super::files;

/// How a program is started.
const STARTS: [&str; 6] =
    ["std::process::Command", "tokio::process", "process::Command", "execve", "posix_spawn", "fork("];

/// The first way to start a program that code uses.
fn start(code: &str) -> Option<&'static str> {
    STARTS.into_iter().find(|start| code.contains(start))
}

#[test]
fn nothing_that_is_shipped_starts_a_program() {
    for file in files() {
        assert_eq!(start(&file.shipped()), None, "{}", file.path);
    }
    assert!(start("fn f() { std::process::Command::new(program).spawn(); }").is_some());
    assert!(start("use tokio::process;").is_some());
    assert!(start("use std::process::{self}; fn f() { process::Command::new(program); }").is_some());
}
