//! PostgreSQL as it is installed on this machine: where its programs are, as whom they run, and an empty database
//! cluster to copy, which is made once (`initdb` takes ten times as long as copying).

use std::{
    fs::{self, DirBuilder, File},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::geteuid;

use super::USER;

/// Names the folder with `postgres`, `initdb` and `psql`.
const BIN_ENV: &str = "TRESTLE_POSTGRES_BIN";
/// Where Debian puts them, in a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// To be changed with anything that goes into the template.
const RECIPE: u32 = 1;

/// The programs and the place for data.
#[derive(Debug)]
pub(super) struct Install {
    bin: PathBuf,
    /// Whom the server runs as; nobody else than us unless we are root, whom the server refuses.
    user: Option<(u32, u32)>,
    base: PathBuf,
}

impl Install {
    pub(super) fn find() -> Result<Self, String> {
        let bin = match std::env::var_os(BIN_ENV) {
            Some(bin) => PathBuf::from(bin),
            None => newest(Path::new(DEBIAN)).ok_or_else(|| {
                format!("not installed: apt-get install postgresql, or set {BIN_ENV} to the folder with its programs")
            })?,
        };
        if !bin.join("initdb").exists() {
            return Err(format!("{BIN_ENV}={}: there is no initdb in it", bin.display()));
        }
        let own = geteuid();
        let user = own.is_root().then(server_user).transpose()?;
        let base = std::env::temp_dir().join(format!("trestle-postgres-{}", own.as_raw()));
        make_base(&base, user).map_err(|error| format!("{}: {error}", base.display()))?;
        Ok(Self { bin, user, base })
    }

    /// The folder of all servers of this user.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// One of its programs, as the user who may run it. It ends with the thread that starts it: by SIGQUIT, upon which
    /// a server also ends its children and gives its shared memory back, which SIGKILL would leave.
    pub(super) fn command(&self, program: &str) -> Command {
        self.command_at(&self.bin.join(program))
    }

    fn command_at(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]);
        if let Some((uid, gid)) = self.user {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        }
        // The developer's PGHOST and the like must not matter, and messages are read.
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
        command.arg("--").arg(program).current_dir(&self.base).stdin(Stdio::null());
        command
    }

    /// A data folder with an empty database named like the user. Made once for each boot and version.
    pub(super) fn template(&self) -> Result<PathBuf, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.base.display());
        let version = finished(self.command("postgres").arg("--version"), "")?;
        let version = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        // Those who clean temporary folders may have been at it before this boot.
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(failed)?;
        let boot = boot.split('-').next().unwrap_or_default();
        let template = self.base.join(format!("template-{RECIPE}-{}-{boot}", version.unwrap_or("unknown")));
        let lock = File::options().create(true).append(true).open(self.base.join("template.lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        if template.join("PG_VERSION").exists() {
            return Ok(template);
        }
        self.remove_old_templates(boot).map_err(failed)?;
        let new = self.base.join("template.new");
        let initdb = ["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "--wal-segsize=4"];
        finished(self.command("initdb").args(initdb).arg("-U").arg(USER).arg("-D").arg(&new), "")?;
        // Nobody can connect yet: the single-user mode takes a command on each line.
        let mut single = self.command("postgres");
        finished(
            single.args(["--single", "-F", "-D"]).arg(&new).arg("postgres"),
            &format!("CREATE DATABASE {USER}\n"),
        )?;
        fs::rename(&new, &template).map_err(failed)?;
        Ok(template)
    }

    fn remove_old_templates(&self, boot: &str) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.base)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("template") && !name.ends_with(".lock") && !name.ends_with(boot) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// Copies a data folder.
    pub(super) fn copy(&self, from: &Path, to: &Path) -> Result<(), String> {
        finished(self.command_at(Path::new("cp")).args(["-a", "--reflink=auto"]).args([from, to]), "").map(drop)
    }

    /// Runs SQL; what it prints, without the last line's end.
    pub(super) fn psql(&self, uri: &str, sql: &str) -> Result<String, String> {
        let said = finished(self.command("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, uri]), "")?;
        Ok(said.trim_end().to_owned())
    }

    /// A server that was killed leaves a System V segment of a few bytes, of which the kernel allows 4,096. Its number
    /// is the last word of the seventh line of a file that only orderly ends remove.
    pub(super) fn release_shared_memory(&self, data: &Path) {
        let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return };
        if let Some(id) = text.lines().nth(6).and_then(|line| line.split_whitespace().next_back()) {
            let _ = finished(self.command_at(Path::new("ipcrm")).args(["-m", id]), "");
        }
    }
}

/// The programs of the newest version that is installed.
fn newest(versions: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(versions).ok()?.filter_map(Result::ok);
    let with_number =
        entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let usable =
        with_number.map(|(version, path)| (version, path.join("bin"))).filter(|(_, bin)| bin.join("initdb").exists());
    usable.max().map(|(_, bin)| bin)
}

/// User and group id of `postgres`, or of `nobody`.
fn server_user() -> Result<(u32, u32), String> {
    let users = fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
    let ids = |name: &str| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).ok_or_else(|| {
        "we are root, whom PostgreSQL refuses, and /etc/passwd has neither a user postgres nor nobody".to_owned()
    })
}

/// Makes the folder for everything. Its name can be guessed, so one that a stranger made is refused.
fn make_base(base: &Path, user: Option<(u32, u32)>) -> std::io::Result<()> {
    match DirBuilder::new().mode(0o755).create(base) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let owner = user.map_or(geteuid().as_raw(), |(uid, _)| uid);
    let found = fs::symlink_metadata(base)?;
    if found.is_dir() && found.uid() == geteuid().as_raw() && found.uid() != owner {
        return chown(base, user.map(|(uid, _)| uid), user.map(|(_, gid)| gid));
    }
    if !found.is_dir() || found.uid() != owner {
        return Err(std::io::Error::other("belongs to somebody else; remove it or set TMPDIR"));
    }
    Ok(())
}

/// Runs a command that ends by itself, with something to read; what it printed, or why it failed.
fn finished(command: &mut Command, input: &str) -> Result<String, String> {
    let shown = format!("{command:?}");
    let mut run = || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // Small enough for the pipe. Who does not read it may have closed its end.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output()
    };
    let output = run().map_err(|error: std::io::Error| format!("{shown}: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    // The single-user mode reports a failed statement and succeeds.
    if !output.status.success() || errors.contains("ERROR:") {
        return Err(format!("{shown}: {}: {errors}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgres_of_the_newest_version_is_taken_by_number() {
        let folder = std::env::temp_dir().join(format!("trestle-versions-{}", std::process::id()));
        for version in ["9", "15", "16", "common"] {
            fs::create_dir_all(folder.join(version).join("bin")).unwrap();
        }
        for version in ["9", "15", "common"] {
            File::create(folder.join(version).join("bin/initdb")).unwrap();
        }
        let found = newest(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, Some(folder.join("15/bin")), "16 has no programs of the server, and 9 is less than 15");
        assert_eq!(newest(&folder), None);
    }
}
