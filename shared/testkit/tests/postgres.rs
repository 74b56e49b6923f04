//! The private PostgreSQL server itself: what it keeps, and that it leaves nothing behind.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use testkit::postgres::{End, Postgres};

/// Asks until something holds, at most 30 s.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let held = (0..3_000).any(|_| {
        holds() || {
            thread::park_timeout(Duration::from_millis(10));
            false
        }
    });
    assert!(held, "not within 30 s: {what}");
}

fn serves(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn postgres_serves_durably_and_leaves_nothing_behind() {
    let postgres = Postgres::start();
    assert!(postgres.port() < 32_768, "below the ports of outgoing connections");
    assert_eq!(postgres.uri(), format!("postgres://trestle@127.0.0.1:{}/trestle", postgres.port()));
    let settings =
        "SELECT name || '=' || setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') ORDER BY 1";
    assert_eq!(postgres.sql("trestle", settings).unwrap(), "fsync=on\nsynchronous_commit=on");
    let error = postgres.sql("trestle", "SELEC 1").unwrap_err();
    assert!(error.contains("syntax error"), "{error}");
    let (port, data) = (postgres.port(), postgres.data());
    assert!(serves(port) && data.join("PG_VERSION").exists());
    drop(postgres);
    assert!(!serves(port) && !data.exists());
}

#[test]
fn postgres_has_room_for_several_suites_and_fast_ones_skip_fsync() {
    let postgres = Postgres::fast();
    assert_eq!(postgres.sql("trestle", "SHOW fsync").unwrap(), "off");
    assert_eq!(postgres.create_database("orders_2"), postgres.uri_of("orders_2"));
    postgres.sql("orders_2", "CREATE TABLE t (x int)").unwrap();
    let error = postgres.sql("trestle", "SELECT * FROM t").unwrap_err();
    assert!(error.contains("\"t\" does not exist"), "{error}");
    let other = Postgres::fast();
    assert_ne!(other.port(), postgres.port());
    assert!(other.sql("orders_2", "SELECT 1").unwrap_err().contains("does not exist"));
}

#[test]
fn postgres_keeps_what_was_committed_however_it_ends() {
    let postgres = Postgres::start();
    let uri = postgres.uri();
    postgres.sql("trestle", "CREATE TABLE kept (x int)").unwrap();
    let end_and_start = |way: &str| match way {
        "fast" => postgres.restart(End::Fast),
        "crash" => postgres.restart(End::Crash),
        _ => {
            if way == "kill" {
                postgres.kill()
            } else {
                postgres.stop()
            }
            assert!(!serves(postgres.port()));
            postgres.start_again();
        }
    };
    for (count, way) in (1..).zip(["fast", "crash", "kill", "stop"]) {
        postgres.sql("trestle", "INSERT INTO kept VALUES (1)").unwrap();
        let before = postgres.pid();
        end_and_start(way);
        assert_ne!(postgres.pid(), before, "{way}: another process");
        assert_eq!(postgres.sql("trestle", "SELECT count(*) FROM kept").unwrap(), count.to_string(), "{way}");
        // Only an orderly end needs no recovery: the other two are crashes indeed.
        let recovered = postgres.log().contains("not properly shut down");
        assert_eq!(recovered, ["crash", "kill"].contains(&way), "{way}: {}", postgres.log());
    }
    assert_eq!(postgres.uri(), uri);
}

#[test]
fn postgres_sessions_end_with_a_killed_server() {
    let postgres = Postgres::start();
    thread::scope(|scope| {
        let session = scope.spawn(|| postgres.sql("trestle", "SELECT pg_sleep(600)"));
        let active = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        until("the session sleeps", || postgres.sql("trestle", active).unwrap() == "1");
        postgres.kill();
        assert!(session.join().unwrap().is_err(), "the session ended before its 600 s");
    });
    postgres.start_again();
    assert_eq!(postgres.sql("trestle", "SELECT 1").unwrap(), "1");
}

#[test]
fn postgres_ends_with_a_killed_test_and_the_next_one_sweeps() {
    let mut test =
        Command::new(env!("CARGO_BIN_EXE_test-postgres")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(test.stdout.take().unwrap()).lines();
    let uri = said.next().unwrap().unwrap();
    let port: u16 = uri.rsplit(['/', ':']).nth(1).unwrap().parse().unwrap();
    assert!(serves(port));
    test.kill().unwrap();
    test.wait().unwrap();
    until("its server is gone", || !serves(port));
    let next = Postgres::fast();
    let left = next.data().parent().unwrap().join(port.to_string());
    // The other tests take ports too: what counts is that no data stays without a server.
    until("its folder is gone or belongs to another server", || {
        drop(Postgres::fast());
        !left.exists() || serves(port)
    });
}

#[test]
fn postgres_that_is_not_there_is_asked_for() {
    let output = Command::new(env!("CARGO_BIN_EXE_test-postgres"))
        .env("TRESTLE_POSTGRES_BIN", "/nowhere")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("TRESTLE_POSTGRES_BIN=/nowhere"), "{said}");
}
