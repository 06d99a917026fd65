//! Files of a test, below cargo's target directory.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The path of a file of one test. What is there is removed with it.
#[derive(Debug)]
pub(crate) struct OwnPath(PathBuf);

impl OwnPath {
    /// A path at which there is nothing yet.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{process}-{number}-own")))
    }

    pub(crate) fn with(content: &impl Display) -> Self {
        let path = Self::new();
        path.write(content.to_string());
        path
    }

    pub(crate) fn write(&self, content: impl AsRef<[u8]>) {
        fs::write(&self.0, content).expect("a file");
    }

    pub(crate) fn read(&self) -> Vec<u8> {
        fs::read(&self.0).expect("a file")
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.exists()
    }

    pub(crate) fn text(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
