//! The bounds of what clients and endpoints may take of the gateway: connections, bytes, time.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::file::File;

/// The bounds, all of which the file may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The connections of clients at one time.
    pub(crate) connections: usize,
    /// The length of a head, from its first byte to the empty line behind it.
    pub(crate) head_bytes: usize,
    /// The time for a request's head to arrive, and of an idle connection before it.
    pub(crate) head: Duration,
    /// The time until a connection to an endpoint counts as failed.
    pub(crate) connect: Duration,
    /// The time of an endpoint for the head of its answer, once it has the whole request.
    pub(crate) answer: Duration,
    /// The time in which nothing of a body comes, or nothing of what is sent is taken.
    pub(crate) body_idle: Duration,
    /// The time in which nothing passes through a tunnel.
    pub(crate) tunnel_idle: Duration,
    /// The time that the requests in flight have when the gateway stops.
    pub(crate) shutdown: Duration,
}

/// The file descriptors that a process may usually have, where its limit cannot be read.
const USUAL_FILES: usize = 1_024;
const HEAD_BYTES: usize = 64 * 1024;
const SHORTEST_HEAD: usize = 1_024;
const LONGEST_HEAD: usize = 16 * 1024 * 1024;
/// A longer time counts as this one, so that no sum with it overflows.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

impl Limits {
    /// Reads the bounds of a file.
    pub(crate) fn new(file: &File, warnings: &mut Vec<String>) -> Result<Self, String> {
        Ok(Self {
            connections: connections(file.max_connections, files_of_this_process(), warnings)?,
            head_bytes: head_bytes(file.max_head_bytes)?,
            head: time("head_timeout_ms", file.head_timeout_ms, 15_000)?,
            connect: time("connect_timeout_ms", file.connect_timeout_ms, 500)?,
            answer: time("answer_timeout_ms", file.answer_timeout_ms, 60_000)?,
            body_idle: time("body_idle_timeout_ms", file.body_idle_timeout_ms, 60_000)?,
            tunnel_idle: time("tunnel_idle_timeout_ms", file.tunnel_idle_timeout_ms, 3_600_000)?,
            shutdown: time("shutdown_timeout_ms", file.shutdown_timeout_ms, 30_000)?,
        })
    }

    /// The number of idle connections to all endpoints together: a quarter of the files, less those of
    /// the administrator and some for the store.
    pub(crate) fn idle_upstreams(&self) -> usize {
        (self.connections.saturating_mul(2) / 3).saturating_sub(80)
    }
}

/// Returns the limit of connections: by default three eighths of the file descriptors. Each
/// connection may need a second one to an endpoint; the last quarter is for idle connections to
/// endpoints, the administrator and the store.
fn connections(
    written: Option<u64>,
    files: Option<usize>,
    warnings: &mut Vec<String>,
) -> Result<usize, String> {
    let share = files.unwrap_or(USUAL_FILES).saturating_mul(3) / 8;
    let Some(written) = written else { return Ok(share.clamp(1, Semaphore::MAX_PERMITS)) };
    if written == 0 {
        return Err("max_connections is 0; allowed: 1 or more".into());
    }
    let connections = usize::try_from(written).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
    if let Some(files) = files.filter(|files| connections > files / 2) {
        warnings.push(format!(
            "max_connections is {connections}, each may need two files, \
             and this process may open {files}"
        ));
    }
    Ok(connections)
}

/// Returns the number of file descriptors that this process may have, as Linux tells it.
fn files_of_this_process() -> Option<usize> {
    files(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn files(limits: &str) -> Option<usize> {
    let soft_and_hard = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    soft_and_hard.split_whitespace().next()?.parse().ok()
}

fn head_bytes(written: Option<u64>) -> Result<usize, String> {
    let Some(written) = written else { return Ok(HEAD_BYTES) };
    let bytes = usize::try_from(written).ok();
    bytes.filter(|bytes| (SHORTEST_HEAD..=LONGEST_HEAD).contains(bytes)).ok_or_else(|| {
        format!("max_head_bytes is {written}; allowed: {SHORTEST_HEAD} to {LONGEST_HEAD} bytes")
    })
}

fn time(field: &str, written: Option<u64>, default: u64) -> Result<Duration, String> {
    match written.unwrap_or(default) {
        0 => Err(format!("{field} is 0; allowed: 1 or more milliseconds")),
        milliseconds => Ok(Duration::from_millis(milliseconds).min(YEAR)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_three_eighths_of_the_files() {
        for (files, expected) in
            [(Some(1_024), 384), (Some(20_000), 7_500), (Some(2), 1), (None, 384)]
        {
            assert_eq!(connections(None, files, &mut Vec::new()), Ok(expected), "{files:?}");
        }
    }

    #[test]
    fn more_connections_than_there_are_files_for_are_warned_about() {
        let mut warnings = Vec::new();
        assert_eq!(connections(Some(512), Some(1_024), &mut warnings), Ok(512));
        assert_eq!(warnings, [""; 0]);
        assert_eq!(connections(Some(513), Some(1_024), &mut warnings), Ok(513));
        assert_eq!(
            warnings,
            ["max_connections is 513, each may need two files, and this process may open 1024"]
        );
        assert_eq!(connections(Some(513), None, &mut Vec::new()), Ok(513));
    }

    #[test]
    fn the_limit_of_files_is_the_soft_one() {
        let limits = "Limit          Soft Limit   Hard Limit   Units\n\
                      Max processes  31000        31000        processes\n\
                      Max open files 1024         524288       files\n";
        assert_eq!(files(limits), Some(1_024));
        assert_eq!(files("Max open files unlimited unlimited files\n"), None);
        assert_eq!(files(""), None);
    }

    #[test]
    fn a_time_beyond_a_year_is_a_year() {
        assert_eq!(time("x", Some(u64::MAX), 1), Ok(YEAR));
        assert_eq!(time("x", None, 1), Ok(Duration::from_millis(1)));
    }
}
