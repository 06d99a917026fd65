//! A gateway whose file changes.

use crate::support::{Config, Gateway, OwnPath, wait_until};

/// A gateway and the file that it can read again.
pub(super) struct Site {
    pub(super) gateway: Gateway,
    path: OwnPath,
}

impl Site {
    pub(super) fn start(file: &Config) -> Self {
        let path = OwnPath::with(file);
        Self { gateway: Gateway::start_with(None, &["--config", path.text()]), path }
    }

    /// Sends SIGHUP with this file, and waits for what the gateway says to it: its last line.
    #[track_caller]
    pub(super) fn reload(&self, file: &str) {
        self.path.write(file);
        let reloads =
            || self.gateway.output().iter().filter(|line| line.contains("reloaded")).count();
        let before = reloads();
        self.gateway.signal("HUP");
        wait_until("a reload", || reloads() > before);
    }

    /// Sends SIGHUP with a file that is wrong, and returns the line that says so.
    #[track_caller]
    pub(super) fn refuses(&self, file: &str) -> String {
        self.path.write(file);
        let lines = || -> Vec<_> {
            let errors = self.gateway.errors().into_iter();
            errors.filter(|line| line.contains("stays as it was")).collect()
        };
        let before = lines().len();
        self.gateway.signal("HUP");
        wait_until("a refusal", || lines().len() > before);
        lines().pop().expect("a line")
    }

    /// The lines about fields that need a restart.
    pub(super) fn restarts(&self) -> Vec<String> {
        let errors = self.gateway.errors().into_iter();
        errors.filter(|line| line.contains("needs a restart")).collect()
    }
}
