//! Instructions in user space, by callgrind: the same slices, which a busy machine only delays.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::children::{Folder, Process, is_there};
use crate::crowd::{Bond, Clients, Crowd};
use crate::gateways;
use crate::peers::{self, Workers};
use crate::spread::{Costs, turns};
use crate::table;
use crate::time::of;

/// The requests of a slice: each client comes once.
const REQUESTS: usize = 240;
const ROUNDS: u64 = 15;

/// The instructions of a compression of SHA-256 by the instructions for it, counted in the machine
/// code of the crate sha2 0.11.
const COMPRESSION: u64 = 190;

/// Returns the instructions of each proxy, in thousands, or nothing without valgrind.
pub async fn run(endpoints: &[SocketAddr]) -> Result<Option<Costs>> {
    if !is_there("valgrind") || !is_there("vgdb") {
        println!("valgrind is not installed: no instructions are counted");
        return Ok(None);
    }
    let folder = Folder::new()?;
    let tool = |name: &str| {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--quiet"]);
        command.arg(format!("--callgrind-out-file={}", folder.path().join(name).display()));
        command.stderr(Stdio::null());
        command
    };
    let (gateways, addresses) = gateways::start(Some(tool("gateways")), endpoints)?;
    let peers = peers::start(Workers::InTheMaster, endpoints, |name| Some(tool(name)))?;

    let mut counters = vec![Counter::new(&gateways, folder.path().join("gateways"))];
    counters.extend(
        peers.iter().map(|peer| Counter::new(&peer.process, folder.path().join(peer.name))),
    );
    let mut proxies: Vec<(String, SocketAddr, usize)> =
        addresses.into_iter().map(|(name, address)| (name, address, 0)).collect();
    proxies
        .extend((1..).zip(&peers).map(|(place, peer)| (peer.name.to_owned(), peer.address, place)));

    let clients =
        Clients::of(gateways::address("cookie", proxies.iter().map(|it| (&*it.0, it.1)))?).await?;
    let mut crowds = Vec::new();
    for (name, address, _) in &proxies {
        let bond = if name.starts_with("off") { Bond::None } else { Bond::Sticky };
        let mut crowd = Crowd::meet(*address, bond, clients.clone()).await.map_err(of(name))?;
        crowd.slice(REQUESTS).await.map_err(of(name))?;
        crowds.push(crowd);
    }
    for counter in &mut counters {
        counter.read()?;
    }
    let cpu = Cpu::of_this_machine()?;
    let mut hashing = vec![Count::default(); proxies.len()];
    let mut costs = Costs::new(proxies.iter().map(|(name, ..)| name.clone()).collect());
    for round in 0..ROUNDS {
        for turn in turns(round, proxies.len()) {
            let (name, _, counter) = &proxies[turn];
            crowds[turn].slice(REQUESTS).await.map_err(of(name))?;
            // The answers are here before the proxy has laid itself to rest.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let count = counters[*counter].read()?;
            costs.push(turn, count.as_run(cpu) as f64 / 1e3 / REQUESTS as f64);
            hashing[turn] = count;
        }
    }
    table::print("Instructions in user space", "thousands", &costs);
    for ((name, ..), count) in proxies.iter().zip(hashing).filter(|(_, it)| it.compressions > 0) {
        let each = count.compressions as f64 / REQUESTS as f64;
        let software = count.hashing as f64 / 1e3 / REQUESTS as f64;
        let counted = if cpu == Cpu::WithSha {
            "190 instructions each, as this CPU runs them"
        } else {
            "all of it"
        };
        println!(
            "\n{name}: {each:.1} compressions of SHA-256, {software:.2} thousand in software; counted: {counted}."
        );
    }
    Ok(Some(costs))
}

/// The instructions of a slice.
#[derive(Clone, Copy, Default)]
struct Count {
    all: u64,
    /// Those of SHA-256 in software.
    hashing: u64,
    /// The number of its compressions.
    compressions: u64,
}

impl Count {
    /// Returns the number with the hashes as this CPU runs them.
    fn as_run(self, cpu: Cpu) -> u64 {
        match cpu {
            Cpu::WithSha => self.all - self.hashing + COMPRESSION * self.compressions,
            Cpu::WithoutSha => self.all,
        }
    }
}

/// The CPU has instructions for SHA-256, or not. Callgrind has none, so below it all hashes are made in
/// software.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cpu {
    WithSha,
    WithoutSha,
}

impl Cpu {
    fn of_this_machine() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/cpuinfo")?;
        let with_sha = text.split_ascii_whitespace().any(|word| word == "sha_ni");
        Ok(if with_sha { Self::WithSha } else { Self::WithoutSha })
    }
}

/// The counter of a process below callgrind.
struct Counter {
    process: u32,
    file: PathBuf,
    reads: usize,
    /// The numbers that the files have for the functions of SHA-256 in software. A name is written
    /// once.
    hashing: HashSet<String>,
}

impl Counter {
    fn new(process: &Process, file: PathBuf) -> Self {
        Self { process: process.id(), file, reads: 0, hashing: HashSet::new() }
    }

    /// Returns the instructions since it was read before.
    fn read(&mut self) -> Result<Count> {
        let status = Command::new("vgdb")
            .args([format!("--pid={}", self.process).as_str(), "dump", "slice"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            return Err("vgdb does not reach callgrind".into());
        }
        self.reads += 1;
        let mut file = self.file.clone().into_os_string();
        file.push(format!(".{}", self.reads));
        let text = std::fs::read_to_string(&file)?;
        std::fs::remove_file(&file)?;
        self.count(&text)
    }

    /// Reads a file of callgrind's: lines of costs below the function that they are of. The line after
    /// a call is what the call has cost, which is counted where the called function stands.
    fn count(&mut self, text: &str) -> Result<Count> {
        let (mut count, mut is_whole) = (Count::default(), false);
        let (mut here, mut called, mut after_call) = (false, false, false);
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                here = self.is_hashing(name);
            } else if let Some(name) = line.strip_prefix("cfn=") {
                called = self.is_hashing(name);
            } else if let Some(calls) = line.strip_prefix("calls=") {
                if called && !here {
                    count.compressions += first(calls)?;
                }
                after_call = true;
            } else if let Some(total) = line.strip_prefix("totals: ") {
                (count.all, is_whole) = (first(total)?, true);
            } else if line
                .starts_with(|start: char| "+-*".contains(start) || start.is_ascii_digit())
                && !std::mem::take(&mut after_call)
                && here
            {
                count.hashing += first(line.split_once(' ').ok_or("a line without a cost")?.1)?;
            }
        }
        if is_whole { Ok(count) } else { Err("callgrind has written no total".into()) }
    }

    /// `name` is a number in parentheses, and a name where it is the first time.
    fn is_hashing(&mut self, name: &str) -> bool {
        let (number, name) = name.split_once(' ').unwrap_or((name, ""));
        if name.starts_with("sha2::sha256::soft::") {
            self.hashing.insert(number.to_owned());
        }
        self.hashing.contains(number)
    }
}

fn first(numbers: &str) -> Result<u64> {
    Ok(numbers.split(' ').next().unwrap_or_default().parse()?)
}
