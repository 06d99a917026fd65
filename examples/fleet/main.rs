//! One day of a fleet, played once in each failover mode.
//!
//! Clients with cookie jars come, browse and leave, while an operator drains and restarts
//! every endpoint in turn, one endpoint crashes, another refuses connections on and off
//! between health checks, and two more join. The lessons:
//!
//! - `day.rs`: the way of a request through `Affinity::recall`, `route`, `failover`, `settle` and
//!   `Settlement::apply`, and the other events of the day;
//! - `operator.rs`: a rolling restart that breaks no session, by `Pools::edited`,
//!   `EndpointView::census` and `Affinity::drain`;
//! - `fleet.rs`: pools described by `Pools::builder`, and again by `Pools::rebuild` when
//!   endpoints join;
//! - `clients.rs`: the cookie jar of a browser.
//!
//! The only I/O is to write the picture. The example reads no clock and draws its own numbers, so
//! every run prints the same.
//!
//! ```text
//! cargo run --example fleet [-- picture.svg]
//! ```

mod clients;
mod day;
mod fleet;
mod operator;
mod paper;
mod picture;
mod tally;

use std::path::PathBuf;
use std::thread;

use day::{Day, Row};
use session_affinity::FailoverMode;
use session_affinity::limits::CoolingOff;

/// An error in the description of the fleet, or in writing the picture.
type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Error> {
    let path =
        std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/fleet.svg"), PathBuf::from);
    let rows = [
        Row { name: "none", mode: FailoverMode::None, cooling_off: CoolingOff::OFF },
        Row { name: "temporary", mode: FailoverMode::Temporary, cooling_off: CoolingOff::OFF },
        Row { name: "sticky", mode: FailoverMode::Sticky, cooling_off: CoolingOff::OFF },
        Row {
            name: "temporary, cooling off",
            mode: FailoverMode::Temporary,
            cooling_off: CoolingOff::new(30)?,
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
    std::fs::write(&path, picture::draw(&days, shown))?;
    println!("\nThe picture is in {}.", path.display());
    Ok(())
}
