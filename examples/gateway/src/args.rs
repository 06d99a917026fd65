//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
A reverse proxy for HTTP/1.1 with session affinity.

Usage: gateway [--config FILE] [--listen ADDR] [--admin ADDR]

  --config FILE   the configuration, JSON; without it a demo with endpoints of its own
  --listen ADDR   where clients connect, such as 127.0.0.1:8080; overrides the file
  --admin ADDR    where the administrator connects; overrides the file
  --help          this text

Without an address a free port of 127.0.0.1 is taken. Ctrl-C or SIGTERM stops the gateway
after the requests in flight have ended, after 30 seconds at the latest by default. SIGHUP
makes it read the configuration again.
";

pub(crate) enum Parsed {
    Run(Args),
    Help,
}

#[derive(Default)]
pub(crate) struct Args {
    pub(crate) config: Option<PathBuf>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) admin: Option<SocketAddr>,
}

/// Reads the arguments after the program's name. Where a flag is given twice, the last one counts.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, String> {
    let mut arguments = arguments.into_iter();
    let mut args = Args::default();
    while let Some(argument) = arguments.next() {
        let argument = argument.to_string_lossy().into_owned();
        let (flag, inline) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(OsString::from(value))),
            None => (argument.as_str(), None),
        };
        let mut value = |what: &str| {
            let next =
                || arguments.next().filter(|value| !value.as_encoded_bytes().starts_with(b"--"));
            let value = inline.clone().or_else(next).filter(|value| !value.is_empty());
            value.ok_or_else(|| format!("{flag}: expected {what} after it"))
        };
        match flag {
            "--help" | "-h" => return Ok(Parsed::Help),
            "--config" => args.config = Some(value("a file")?.into()),
            "--listen" => args.listen = Some(address(flag, &value(ADDRESS)?)?),
            "--admin" => args.admin = Some(address(flag, &value(ADDRESS)?)?),
            _ => {
                return Err(format!(
                    "{flag}: no such flag; expected --config, --listen, --admin or --help"
                ));
            }
        }
    }
    Ok(Parsed::Run(args))
}

pub(crate) const ADDRESS: &str = "an address such as 127.0.0.1:8080";

fn address(flag: &str, value: &OsString) -> Result<SocketAddr, String> {
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{flag}: expected {ADDRESS}"))
}
