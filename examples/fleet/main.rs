//! One day of a fleet, played once in each failover mode, and with a bound on the load.
//!
//! Clients with cookie jars come, browse and leave, while an operator drains and restarts
//! every endpoint in turn, one endpoint crashes, another refuses connections on and off
//! between health checks, a third is slow for a while, and two more join. The lessons:
//!
//! - `day.rs`: the way of a request through `Affinity::recall`, `route`, `failover`, `settle` and
//!   `Settlement::apply`, and the other events of the day;
//! - `operator.rs`: a rolling restart that breaks no session, by `Pools::edited`,
//!   `EndpointView::census` and `Affinity::drain`;
//! - `fleet.rs`: pools described by `Pools::builder`, and again by `Pools::rebuild` when
//!   endpoints join, one of them with a bound on the load of each endpoint (`Room::bounded`, with
//!   the counts of `InFlight`);
//! - `clients.rs`: the cookie jar of a browser.
//!
//! The only I/O is to write the picture. The example reads no clock and draws its own numbers, so
//! every run prints the same.
//!
//! ```text
//! cargo run --example fleet [-- picture.svg]
//! ```
//!
//! Without a path the picture is written to cargo's target directory, as `fleet.svg`. The picture that is
//! checked in is drawn again by `cargo run --example fleet -- examples/fleet/fleet.svg`.

mod clients;
mod day;
mod fleet;
mod legend;
mod operator;
mod paper;
mod picture;
mod tally;

use std::path::{Path, PathBuf};
use std::{env, fs, io, thread};

use day::{Day, Row};
use session_affinity::FailoverMode;
use session_affinity::limits::{BoundedLoad, CoolingOff};

/// An error in the description of the fleet, or in writing the picture.
type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Error> {
    let row = |name, mode| Row { name, mode, cooling_off: CoolingOff::OFF, bound: None };
    let rows = [
        row("none", FailoverMode::None),
        row("temporary", FailoverMode::Temporary),
        row("sticky", FailoverMode::Sticky),
        Row {
            cooling_off: CoolingOff::new(30)?,
            ..row("temporary, cooling off", FailoverMode::Temporary)
        },
        Row {
            bound: Some(BoundedLoad::new(150, 4)?),
            ..row("temporary, bounded load", FailoverMode::Temporary)
        },
    ];
    // The same clients on the same day each time: only the mode differs.
    let days = thread::scope(|scope| {
        let days = rows.each_ref().map(|row| scope.spawn(|| Day::new(row)?.play()));
        days.into_iter()
            .map(|day| day.join().map_err(|_| "a day did not end")?)
            .collect::<Result<Vec<_>, Error>>()
    })?;

    print!("{}", tally::table(&days));
    for day in &days {
        day.assert_laws();
    }
    let shown = days.get(1).ok_or("no day to show")?;
    let picture = picture::draw(&days, shown);
    match env::args_os().nth(1).map(PathBuf::from) {
        Some(path) => {
            write(&path, &picture).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        // The table is what was asked for, so a place that cannot be written to is no failure.
        None => match write(&beside_the_build(), &picture) {
            Ok(()) => {}
            Err(error) => println!("\nThe picture was not written: {error}"),
        },
    }
    Ok(())
}

/// Returns the default path of the picture: in the target directory, which is above
/// `debug/examples` with this program, or else in the current directory.
fn beside_the_build() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let is_built_here = program.parent().is_some_and(|directory| directory.ends_with("examples"));
    let target = program.ancestors().nth(3).filter(|_| is_built_here);
    target.unwrap_or(Path::new("target")).join("fleet.svg")
}

/// Writes the picture, in a directory that is made where it is missing.
fn write(path: &Path, picture: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, picture)?;
    let here = env::current_dir().unwrap_or_default();
    println!("\nThe picture is in {}.", path.strip_prefix(here).unwrap_or(path).display());
    Ok(())
}
