//! The tables, and the verdicts.

use crate::spread::{Costs, Spread};
use crate::time::Timed;
use crate::{BUDGET, Result, crowd};

/// Returns a line about the machine, since figures of two machines do not compare.
pub fn machine() -> Result<String> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let count = std::thread::available_parallelism()?;
    Ok(format!(
        "{count} CPUs, load average {}; {} connections, 3 endpoints, one worker for each proxy",
        load.split(' ').next().unwrap_or_default(),
        crowd::CONNECTIONS,
    ))
}

pub fn print(what: &str, unit: &str, costs: &Costs) {
    println!("\n## {what} of a request, {} rounds\n", costs.rounds());
    println!(
        "| {:<9} | {:>9} | {:>17} | {:>5} | {:<14} | {:<14} |",
        "proxy", unit, "quartiles", "× off", "95 % interval", "quartiles"
    );
    println!("|{:-<11}|{:->10}:|{:->18}:|{:->6}:|{:-<16}|{:-<16}|", "", "", "", "", "", "");
    for name in &costs.names {
        let below = if name == "off again" { "off" } else { "mean off" };
        if let (Some(cost), Some(ratio)) = (costs.of(name), costs.ratio(name, below)) {
            println!(
                "| {name:<9} | {:>9.2} | {:>17} | {:>5.3} | {:<14} | {:<14} |",
                cost.median,
                pair(cost.quartiles, 2),
                ratio.median,
                pair(ratio.interval, 3),
                pair(ratio.quartiles, 3),
            );
        }
    }
    for peer in crate::peers::ALL {
        if let Some(ratio) = costs.ratio("cookie", peer) {
            println!("\ncookie / {peer}: {:.3}, {}", ratio.median, pair(ratio.interval, 3));
        }
    }
}

/// Prints the verdicts. What the two gateways without affinity differ by is noise of the machine, by
/// which any ratio may be wrong.
pub fn verdicts(counted: Option<&Costs>, timed: Option<&Timed>) {
    println!("\n## The budget: {BUDGET} × the CPU time with affinity off, at most\n");
    println!(
        "| policy | by | × off | 95 % interval, with the noise | verdict |\n|---|---|--:|---|---|"
    );
    for policy in ["cookie", "header"] {
        if let Some(ratio) = counted.and_then(|costs| judged(costs, policy)) {
            line(policy, "instructions in user space", ratio);
            if let Some(timed) = timed {
                line(
                    policy,
                    "instructions, by the share of user space",
                    ratio.diluted(timed.user_share),
                );
            }
        }
        if let Some(ratio) = timed.and_then(|timed| judged(&timed.costs, policy)) {
            line(policy, "CPU time", ratio);
        }
    }
}

fn judged(costs: &Costs, policy: &str) -> Option<Spread> {
    let noise = (costs.ratio("off again", "off")?.median - 1.0).abs();
    Some(costs.ratio(policy, "mean off")?.widened(noise))
}

fn line(policy: &str, by: &str, ratio: Spread) {
    println!(
        "| {policy} | {by} | {:.3} | {} | {} |",
        ratio.median,
        pair(ratio.interval, 3),
        ratio.verdict(BUDGET)
    );
}

fn pair((low, high): (f64, f64), digits: usize) -> String {
    format!("{low:.digits$}–{high:.digits$}")
}
