//! A private PostgreSQL server until standard input ends: for tools that must not link this crate, and to try
//! `trestle up --database` by hand. Prints the URI on one line and the process id of the server on the next.

use std::io::{Read as _, Write as _};

use testkit::postgres::Postgres;

fn main() -> std::io::Result<()> {
    let postgres = Postgres::start();
    writeln!(std::io::stdout(), "{}\n{}", postgres.uri(), postgres.pid())?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
