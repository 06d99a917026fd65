//! The program `gateway`: see the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::run(std::env::args_os().skip(1))
}
