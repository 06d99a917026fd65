//! A reverse proxy for HTTP/1.1 with session affinity: the crate at work, and a pattern to copy.
//! The calls of the crate are in `proxy.rs`.
//!
//! ```text
//! cargo run -p gateway                        # a demo that needs nothing else
//! cargo run --release -p gateway -- --config shop.json
//! cargo run --release -p gateway --features redis -- --config shop.json    # "store": "redis://…"
//! ```
//!
//! A request waits for Redis for at most `"store_deadline_ms"`, 20 by default. `GET /metrics` of
//! the admin listener is for Prometheus. That listener has no authentication, so it belongs on
//! loopback; requests of web pages are refused. A request has at most 100 header lines, an answer
//! 512. Trailers are dropped.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

mod address;
mod admin;
mod args;
mod body;
mod changes;
mod clock;
mod control;
mod demo;
mod file;
mod flat;
mod forwarded;
mod hop;
mod json;
mod keys;
mod listener;
mod metrics;
mod proxy;
mod settings;
mod signals;
mod state;
mod store;
mod tally;
mod tunnel;
mod upstream;

use args::{Args, Parsed};
use control::Control;
use demo::Demo;
use proxy::Gateway;
use settings::Settings;

fn main() -> ExitCode {
    let args = match args::parse(std::env::args_os().skip(1)) {
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
    let result = runtime.block_on(run(args));
    // Tunnels and the admin listener are not waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

/// Runs the gateway until the last request in flight has ended.
async fn run(args: Args) -> Result<(), String> {
    let (settings, demo) = match &args.config {
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
    let listener = bind("listen", args.listen.unwrap_or(settings.listen)).await?;
    let admin = bind("admin", args.admin.unwrap_or(settings.admin)).await?;
    let mut signals =
        signals::Signals::new().map_err(|error| format!("signals cannot be handled: {error}"))?;
    let addresses = (listener.local_addr().map_err(unbound)?, admin.local_addr().map_err(unbound)?);

    // The demo draws a key at each start on purpose.
    if demo.is_none() {
        settings.warnings.iter().for_each(|warning| warn(warning));
    }
    let (stop, stopped) = watch::channel(false);
    let (gateway, control) = assemble(settings, stopped.clone());
    if let Err(error) = gateway.store.connect().await {
        store::print(&*error);
    }
    let serving = tokio::spawn(listener::serve(listener, gateway.clone(), stopped));
    tokio::spawn(listener::serve_admin(admin, control));
    print(&format!(
        "gateway listening on http://{}\nadmin listening on http://{}\n",
        addresses.0, addresses.1
    ));
    if demo.is_some() {
        print(&demo::what_to_try(addresses.0, addresses.1));
    }

    signals.stop().await;
    // An error means that all receivers are gone, so there is nothing left to stop.
    let _ = stop.send(true);
    serving.await.map_err(|error| format!("the listener failed: {error}"))?;
    // The store may still be writing the sessions of the last responses.
    gateway.store.finish().await;
    Ok(())
}

fn assemble(settings: Settings, stopped: watch::Receiver<bool>) -> (Arc<Gateway>, Arc<Control>) {
    let control = settings.control();
    let gateway = Arc::new(Gateway::new(settings, stopped));
    (gateway.clone(), Arc::new(control(gateway)))
}

async fn bind(field: &str, address: std::net::SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("{field}: {address} cannot be bound: {error}"))
}

fn unbound(error: std::io::Error) -> String {
    format!("the bound address is not known: {error}")
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
