//! A reverse proxy for HTTP/1.1 with session affinity: the crate at work, and a pattern to copy.
//! The calls of the crate are in `proxy.rs`.
//!
//! ```text
//! cargo run -p gateway                        # a demo that needs nothing else
//! cargo run --release -p gateway -- --config shop.json
//! cargo run --release -p gateway --features redis -- --config shop.json    # "store": "redis://…"
//! cargo run -p gateway --example fleet_drain  # four gateways in one process, and their operator
//! cargo run -p gateway --example endurance    # mixed traffic and random acts, every answer checked
//! ```
//!
//! A request waits for Redis for at most `"store_deadline_ms"`, 20 by default. `GET /metrics` of
//! the admin listener is for Prometheus. That listener has no authentication, so it belongs on
//! loopback; requests of web pages are refused. A request has at most 100 header lines, an answer
//! 512, and both 64 KiB by default: `limits.rs` has the bounds. Trailers are dropped.
//!
//! The program is [`run`]; other programs start gateways by [`Running::start`].

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

mod address;
mod admin;
mod args;
mod body;
mod changes;
mod clock;
mod control;
mod demo;
mod disabling;
mod failed;
mod file;
mod fixed;
mod flat;
mod fleet;
mod forwarded;
mod handover;
mod hop;
mod idle;
mod json;
mod keys;
mod limits;
mod line;
mod listener;
mod metrics;
mod own;
mod paced;
mod places;
mod proxy;
mod proxy_protocol;
pub mod readers;
mod reload;
mod replay;
mod running;
mod settings;
mod signals;
mod state;
mod store;
mod stream;
mod tally;
mod terms;
mod tunnel;
mod upstream;
mod warning;

use args::{Args, Parsed};
use demo::Demo;
use settings::Settings;
use signals::Wish;

pub use demo::endpoint;
pub use running::Running;

/// Runs the program with the arguments after its name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match args::parse(arguments) {
        Ok(Parsed::Run(args)) => args,
        Ok(Parsed::Help) => {
            print(args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => return refuse(&error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("the runtime cannot be started: {error}")),
    };
    let result = runtime.block_on(serve(args));
    // Tunnels and the admin listener are not waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

/// Runs a gateway until a signal comes and the last request in flight has ended.
async fn serve(args: Args) -> Result<(), String> {
    let (mut settings, demo) = match &args.config {
        Some(path) => (
            Settings::new(file::read(path)?)
                .map_err(|error| format!("{}: {error}", path.display()))?,
            None,
        ),
        None => {
            let demo = Demo::start().await?;
            (Settings::new(demo.file()?)?, Some(demo))
        }
    };
    let (listen, admin) =
        (args.listen.unwrap_or(settings.listen), args.admin.unwrap_or(settings.admin));
    let warnings = std::mem::take(&mut settings.warnings);
    let mut signals = signals::Signals::new(demo.is_none())
        .map_err(|error| format!("signals cannot be handled: {error}"))?;
    let running = Running::with_settings(settings, listen, admin).await?;

    // The demo draws a key at each start on purpose.
    if demo.is_none() {
        warnings.iter().for_each(|warning| warn(warning));
    }
    let (address, admin) = (running.address, running.admin);
    if !admin.ip().is_loopback() {
        warn(&format!("admin: {admin} is not loopback, and the listener asks nobody who they are"));
    }
    print(&format!("gateway listening on http://{address}\nadmin listening on http://{admin}\n"));
    if demo.is_some() {
        print(&demo::what_to_try(address, admin));
    }
    while signals.next().await == Wish::Reload {
        if let Some(path) = &args.config {
            reload(path, &running);
        }
    }
    running.stop().await
}

/// Reads the file again, and says what has become of it.
fn reload(path: &Path, running: &Running) {
    match file::read(path).and_then(|file| running.reload(file)) {
        Ok(lines) => {
            lines.iter().for_each(|line| warn(&format!("reload: {line}")));
            print(&format!("gateway has reloaded {}\n", path.display()));
        }
        Err(error) => warn(&format!("reload: {error}; the configuration stays as it was")),
    }
}

/// Prints at once, for a program that reads the ports through a pipe. The gateway runs on where
/// stdout is closed.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

fn warn(warning: &str) {
    let _ = writeln!(std::io::stderr(), "gateway: warning: {}", json::one_line(warning));
}

fn refuse(error: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "gateway: {}", json::one_line(error));
    ExitCode::from(2)
}
