//! lockgate: the command line of the library.

use std::process::ExitCode;

/// Builds are made of small pieces that live and die together: jemalloc keeps them closer together than the C
/// library does, which takes a sixth off large builds, and hands back what a burst of work has needed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    lockgate::main()
}
