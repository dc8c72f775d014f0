//! `lockgate bootstrap` and its kin as child processes, against a real control plane, a real sshd and a
//! stand-in for GitHub. The agent runs as its own ServiceAccount beside them, since kwok shows its pod ready
//! without running it.

mod install;
mod keys;
mod kills;
mod logins;
mod readme;
mod refusals;
mod rotation;
mod runs;
mod site;
mod ssh;
