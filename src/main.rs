//! lockgate: the command line of the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockgate::cli::main()
}
