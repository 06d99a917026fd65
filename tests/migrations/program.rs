//! A proxy of another make, on a socket in the file system: no other process can take its port.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::backend;
use crate::client::{Client, PATIENCE, exchange};

/// It is killed when the test is done with it.
pub(crate) struct Program {
    directory: PathBuf,
    child: Child,
}

impl Program {
    /// HAProxy with this configuration, in which `SOCKET` stands for its socket.
    pub(crate) fn haproxy(configuration: &str) -> Self {
        Self::start("haproxy", configuration, |file| vec!["-db".into(), "-f".into(), file.into()])
    }

    /// nginx with this configuration of `http`, in which `SOCKET` stands for its socket.
    pub(crate) fn nginx(configuration: &str) -> Self {
        let main = "daemon off;\nmaster_process off;\npid DIRECTORY/pid;\n\
                    error_log DIRECTORY/errors;\nevents {}\nhttp {\n  access_log off;\n";
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths = kinds.map(|kind| format!("  {kind}_temp_path DIRECTORY/{kind};\n")).concat();
        let whole = format!("{main}{paths}{configuration}}}\n");
        Self::start("nginx", &whole, |file| {
            // Before it has read the file, it would write errors elsewhere.
            ["-e", "stderr", "-c", file].map(str::to_owned).into()
        })
    }

    fn start(
        program: &str,
        configuration: &str,
        arguments: impl FnOnce(&str) -> Vec<String>,
    ) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // The path of a socket has to be short.
        let name = format!("migrations-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("a directory");
        let path = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
        let configuration =
            configuration.replace("SOCKET", &path("socket")).replace("DIRECTORY", &path(""));
        fs::write(path("configuration"), configuration).expect("a file");
        let mut command = Command::new(program);
        // Debian has them where only root's path leads.
        let paths = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        command.env("PATH", paths).args(arguments(&path("configuration")));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{program} cannot be started: {error}. On Debian: apt-get install {program}")
        });
        let mut started = Self { directory, child };
        started.wait(program);
        started
    }

    fn wait(&mut self, program: &str) {
        let start = Instant::now();
        while self.connect().is_err() {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{program} has ended: {ended:?}");
            assert!(start.elapsed() < PATIENCE, "{program} takes too long to start");
            sleep(Duration::from_millis(5));
        }
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.directory.join("socket"))
    }

    /// Serves one request of a client, which keeps the cookies. Returns the server that has answered.
    pub(crate) fn serve(&self, client: &mut Client) -> String {
        let stream = self.connect().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        let response = exchange(stream, &client.headers()).expect("a response");
        assert_eq!(response.status(), 200, "{response:?}");
        client.keep(response.headers());
        backend::read(response.body()).0
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
