//! What cannot work is said at once, with the setting's name and the way out.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::Stdio,
};

use crate::harness::{Shop, free_block, run, trestle, until, up_in};

#[test]
fn a_taken_port_is_named() {
    for offset in [0, 1, 19] {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_block());
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port + offset)).unwrap();
        let (ok, said) = run(&mut up_in(folder.path(), port));
        assert!(!ok && said.contains(&format!("port {} is taken", port + offset)) && said.contains("--port"), "{said}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (ok, said) = run(&mut up_in(&file, free_block()));
    assert!(!ok && said.contains("--data") && said.contains(&file.display().to_string()), "{said}");
}

#[test]
fn bad_options_are_named_with_what_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let blueprint = folder.path().join("blueprint.json");
    std::fs::write(&blueprint, r#"{"logic": 17}"#).unwrap();
    let blueprint = blueprint.to_str().unwrap();
    for (args, expected) in [
        (&["--port", "65517"][..], "1..=65516"),
        (&["up", "--ports", "1"], "'--port'"),
        (&["up", "--blueprint", blueprint], "\"logic\": 17 is not possible; 1 to 16"),
        (&["up", "--blueprint", "/nowhere"], "--blueprint /nowhere: cannot be read"),
        (&["node", "cart"], "carts"),
        (&["node", "carts"], "--secret-file"),
        (&["kill"], "<NODE>"),
    ] {
        let (ok, said) = run(trestle(args).current_dir(folder.path()));
        assert!(!ok && said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn a_database_that_cannot_be_used_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens here: the port was free a moment ago, and nobody else in these tests takes it.
    let nobody = free_block() + 30;
    for (uri, expected) in [
        ("mysql://shop:s3cret@db/shop".to_owned(), "cannot use \"mysql\"".to_owned()),
        (format!("postgres://shop:s3cret@127.0.0.1:{nobody}/shop"), format!("at 127.0.0.1:{nobody} cannot be reached")),
    ] {
        for by_environment in [false, true] {
            let mut up = up_in(folder.path(), free_block());
            let up = if by_environment { up.env("TRESTLE_DATABASE", &uri) } else { up.args(["--database", &uri]) };
            let (ok, said) = run(up);
            assert!(!ok && said.contains("--database") && said.contains(&expected), "{said}");
            assert!(!said.contains("s3cret"), "{said}");
        }
    }
}

#[test]
fn the_password_of_the_database_is_not_among_the_arguments() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_block());
    // Held, so that it waits for the port and can be looked at meanwhile.
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut up = up_in(folder.path(), port);
    up.args(["--database", "postgres://shop:s3cret@db/shop"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = up.spawn().unwrap();
    let arguments = || std::fs::read_to_string(format!("/proc/{}/cmdline", child.id())).unwrap();
    until("the arguments are without it", || {
        let arguments = arguments();
        (arguments.contains("--port") && !arguments.contains("s3cret")).then_some(())
    });
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("port {port} is taken")) && !said.contains("s3cret"), "{said}");
}

#[test]
fn a_node_that_cannot_start_ends_the_shop_and_shows_why() {
    let folder = tempfile::tempdir().unwrap();
    let (ok, said) = run(up_in(folder.path(), free_block()).env("TRESTLE_LOG", "info,=,"));
    assert!(!ok && said.contains("cannot start (exit status: 1)") && said.contains("--log \"info,=,\""), "{said}");
    assert!(!said.contains("starting it again"), "{said}");
    assert!(!folder.path().join("control.json").exists());
}

#[test]
fn a_second_supervisor_on_the_same_data_is_refused() {
    let shop = Shop::start();
    let before = shop.pids();
    let (ok, said) = run(&mut up_in(&shop.data(), free_block()));
    assert!(!ok && said.contains("is running") && said.contains(&shop.data().display().to_string()), "{said}");
    // On a busy machine a node may be late with an answer and count as not ready for a moment.
    until("the first shop goes on", || shop.nodes().iter().all(|node| node["state"] == "ready").then_some(()));
    assert_eq!(shop.pids(), before);
}

#[test]
fn without_a_shop_commands_say_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["status"][..], &["status", "--json"], &["kill", "logic-1"]] {
        let (ok, said) = run(trestle(args).arg("--data").arg(folder.path()));
        assert!(!ok && said.contains("no shop is running") && said.contains("trestle up --data"), "{args:?}: {said}");
    }
}
