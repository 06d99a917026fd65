//! The gateways: one process, in which each has a listener and a configuration of its own.

use std::net::SocketAddr;
use std::process::Command;

use gateway::Running;
use serde_json::json;

use crate::Result;
use crate::children::{self, Process};
use crate::endpoints::until_the_input_ends;

pub const ROLE: &str = "gateways";

/// The proxies that are gateways.
pub const ALL: [&str; 4] = ["off", "cookie", "off again", "header"];

/// Starts the process, below `tool` if there is one, and returns the addresses of its gateways.
pub fn start(
    tool: Option<Command>,
    endpoints: &[SocketAddr],
) -> Result<(Process, Vec<(String, SocketAddr)>)> {
    let program = std::env::current_exe()?;
    let mut command = match tool {
        Some(mut tool) => {
            tool.arg(program);
            tool
        }
        None => Command::new(program),
    };
    command
        .arg(ROLE)
        .args(endpoints.iter().map(SocketAddr::to_string))
        .env("PATH", children::path());
    Process::in_role(command, ALL.len())
}

/// Returns the address of one of these proxies.
pub fn address<'a>(
    name: &str,
    mut proxies: impl Iterator<Item = (&'a str, SocketAddr)>,
) -> Result<SocketAddr> {
    let found = proxies.find(|(known, _)| *known == name);
    Ok(found.ok_or("a gateway is missing")?.1)
}

/// Serves the gateways until the standard input ends.
pub async fn serve(endpoints: &[String]) -> Result<()> {
    let mut running = Vec::new();
    for name in ALL {
        let gateway = Running::start(&file(name, endpoints)).await?;
        println!("{name} {}", gateway.address);
        running.push(gateway);
    }
    until_the_input_ends().await;
    drop(running);
    Ok(())
}

fn file(name: &str, endpoints: &[String]) -> String {
    const SECRET: &str = "MzIgYnl0ZXMgb3IgbW9yZSBmcm9tIHlvdXIgdmF1bHQ=";
    let (policy, attributes) = match name {
        "cookie" => ("cookie", json!({})),
        "header" => ("header", json!({ "headers": ["x-user"] })),
        _ => ("none", json!({})),
    };
    let origin = |(number, address): (usize, &String)| json!({ "name": format!("s{}", number + 1), "address": address });
    let origins: Vec<_> = endpoints.iter().enumerate().map(origin).collect();
    let file = json!({
        "listen": "127.0.0.1:0", "admin": "127.0.0.1:0",
        // Between two slices a connection is idle for as long as others are measured.
        "head_timeout_ms": 600_000,
        // Below callgrind all is slow.
        "connect_timeout_ms": 30_000, "answer_timeout_ms": 600_000,
        "keys": [{ "id": 1, "secret": SECRET }], "session_secret": SECRET,
        "load_balancer": {
            "name": "load.example", "session_affinity": policy, "session_affinity_attributes": attributes,
            "default_pools": ["all"], "fallback_pool": "all",
        },
        "pools": [{ "id": "all", "origins": origins }],
    });
    file.to_string()
}
