//! The processes that the program starts: what they announce, their CPU time, and their end.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// A process that ends when this is dropped.
pub struct Process {
    child: Child,
    // The roles of this program end when it is closed, so they end if this program is killed, too.
    _stdin: Option<ChildStdin>,
}

impl Process {
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", name(command)))?;
        let stdin = child.stdin.take();
        Ok(Self { child, _stdin: stdin })
    }

    /// Starts this program in another role, and returns the addresses that it announces, by name.
    pub fn in_role(
        mut command: Command,
        count: usize,
    ) -> Result<(Self, Vec<(String, SocketAddr)>)> {
        let mut process = Self::start(command.stdout(Stdio::piped()))?;
        let stdout = process.child.stdout.take().ok_or("a child without an output")?;
        let mut announced = Vec::new();
        for line in BufReader::new(stdout).lines().take(count) {
            let line = line?;
            let (name, address) = line.rsplit_once(' ').ok_or("an announcement without a name")?;
            announced.push((name.to_owned(), address.parse()?));
        }
        if announced.len() < count {
            return Err(format!("{} ended at its start", name(&command)).into());
        }
        Ok((process, announced))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the CPU time of the process and its children so far, to the nanosecond.
    pub fn cpu(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for process in with_children(self.id())? {
            for thread in threads(process)? {
                let text = std::fs::read_to_string(thread.join("schedstat"))?;
                nanoseconds += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
            }
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Returns the share of user space in the CPU time so far.
    pub fn user_share(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        let after = text.rsplit_once(") ").ok_or("a process without a name")?.1;
        let field = |number: usize| after.split(' ').nth(number).and_then(|it| it.parse().ok());
        let (user, system): (f64, f64) = field(11).zip(field(12)).ok_or("no CPU time")?;
        Ok(user / (user + system))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // By SIGTERM first: killed, a master of nginx would leave its workers.
        let _ = Command::new("kill").arg(self.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn threads(process: u32) -> Result<Vec<PathBuf>> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"))?;
    Ok(tasks.map(|task| task.map(|task| task.path())).collect::<std::io::Result<_>>()?)
}

/// Returns a process and its children, who have none.
fn with_children(process: u32) -> Result<Vec<u32>> {
    let mut all = vec![process];
    for thread in threads(process)? {
        let children = std::fs::read_to_string(thread.join("children"))?;
        for child in children.split_ascii_whitespace() {
            all.push(child.parse()?);
        }
    }
    Ok(all)
}

/// Returns whether this program can be started.
pub fn is_there(program: &str) -> bool {
    let mut folders = std::env::split_paths(&path()).collect::<Vec<_>>().into_iter();
    folders.any(|folder| folder.join(program).is_file())
}

/// Returns where programs are looked for. Debian keeps servers where users do not look.
pub fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// A folder that is removed when this is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Result<Self> {
        let name = format!("affinity-load.{}.{}", std::process::id(), unique());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder)?;
        Ok(Self(folder))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn unique() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Relaxed)
}
