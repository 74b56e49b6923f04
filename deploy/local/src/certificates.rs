//! `trestle certificates`: a CA of the shop's own, and a certificate for each family (decision 15).
//!
//! What makes the CA is its key; its certificate can be written again from the key and the one name below. So nothing here
//! has to read a certificate.

use std::{fs, path::Path, path::PathBuf, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use contract::{Family, OPERATOR};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use runtime::{Seams, tls_name};

use crate::{output, up::write_private};

pub(crate) const EXAMPLES: &str = "\
Examples:
  trestle certificates --out keys                     a CA, and certificates for every family, for 90 days
  trestle certificates --out keys                     again: new certificates and keys of the same CA; nodes that run take
                                                      them within a minute, or at once after SIGHUP
  trestle certificates --out keys --families logic --days 30
  trestle node logic --tls keys/logic ...             what a node is given: ca.pem, node.pem and node.key, and no more

Keep DIR/ca/ca.key where no node is: whoever has it can be any family. Without it nobody can make further certificates,
and a new CA means to stop all nodes and start them with what it made.";

/// How long certificates of nodes are valid unless the option says otherwise, in days.
pub(crate) const DAYS: u32 = 90;
/// The CA's own life.
const CA_DAYS: u32 = 3_650;
/// Clocks of machines differ: certificates are valid from this long ago.
const BEFORE: Duration = Duration::from_secs(3_600);

/// Options of `trestle certificates`.
#[derive(Args, Debug)]
pub(crate) struct CertificatesOptions {
    /// Folder that gets a folder for the CA and one for each family; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long the certificates are valid, in days, 1 to 3650.
    #[arg(long, default_value_t = DAYS, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(CA_DAYS)))]
    days: u32,
    /// Families that get one, as in logic,orders; `operator` is for `trestle attention` [default: all].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    families: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(options: &CertificatesOptions) -> anyhow::Result<()> {
    let all = holders();
    if let Some(unknown) = options.families.iter().find(|name| !all.contains(&name.as_str())) {
        bail!("--families {unknown}: no certificate is for that; choose of {}", all.join(","));
    }
    let wanted: Vec<_> = all
        .into_iter()
        .filter(|name| options.families.is_empty() || options.families.iter().any(|one| one == name))
        .collect();
    let is_new = make(&options.out, &wanted, options.days, &Seams::system())?;
    let ca = if is_new { "a new CA" } else { "the CA that was there" };
    output::tell(&format!(
        "{}: certificates of {ca} for {}, valid for {} days",
        options.out.display(),
        wanted.join(", "),
        options.days
    ));
    Ok(())
}

/// Who can have a certificate.
pub(crate) fn holders() -> Vec<&'static str> {
    let families = Family::ALL.into_iter().rev().filter(|family| *family != Family::Provider);
    families.map(Family::name).chain([OPERATOR]).collect()
}

/// Makes certificates in `out`; whether the CA is a new one.
pub(crate) fn make(out: &Path, holders: &[&str], days: u32, seams: &Seams) -> anyhow::Result<bool> {
    let (ca, now_ms) = (out.join("ca"), seams.now_ms());
    fs::create_dir_all(&ca).with_context(|| format!("--out: cannot make {}", ca.display()))?;
    let (key_file, certificate_file) = (ca.join("ca.key"), ca.join("ca.pem"));
    let is_new = !key_file.exists();
    let key = if is_new {
        let key = KeyPair::generate()?;
        write(&key_file, &key.serialize_pem())?;
        key
    } else {
        let text = fs::read_to_string(&key_file);
        let text = text.with_context(|| format!("--out: cannot read {}", key_file.display()))?;
        KeyPair::from_pem(&text).map_err(|error| anyhow!("{}: is no private key ({error})", key_file.display()))?
    };
    if is_new || !certificate_file.exists() {
        write(&certificate_file, &ca_params(now_ms)?.self_signed(&key)?.pem())?;
    }
    let text = fs::read_to_string(&certificate_file)?;
    let issuer = Issuer::new(ca_params(now_ms)?, key);
    for holder in holders {
        let folder = out.join(holder);
        fs::create_dir_all(&folder).with_context(|| format!("--out: cannot make {}", folder.display()))?;
        let key = KeyPair::generate()?;
        let certificate = node_params(holder, days, now_ms)?.signed_by(&key, &issuer)?;
        write(&folder.join("ca.pem"), &text)?;
        // A node that looks between these two lines sees that they do not fit, and looks again.
        write(&folder.join("node.pem"), &certificate.pem())?;
        write(&folder.join("node.key"), &key.serialize_pem())?;
    }
    Ok(is_new)
}

fn ca_params(now_ms: i64) -> anyhow::Result<CertificateParams> {
    let mut params = valid(CertificateParams::default(), CA_DAYS, now_ms)?;
    params.distinguished_name.push(DnType::CommonName, "Trestle CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn node_params(holder: &str, days: u32, now_ms: i64) -> anyhow::Result<CertificateParams> {
    let mut params = valid(CertificateParams::new([tls_name(holder)])?, days, now_ms)?;
    params.distinguished_name.push(DnType::CommonName, tls_name(holder));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // A node of tier 2 or 3 answers and calls by the same certificate.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn valid(mut params: CertificateParams, days: u32, now_ms: i64) -> anyhow::Result<CertificateParams> {
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(u64::try_from(now_ms)?);
    params.not_before = now - BEFORE;
    params.not_after = now + Duration::from_secs(u64::from(days) * 86_400);
    // The default names the library.
    params.distinguished_name = rcgen::DistinguishedName::new();
    Ok(params)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    write_private(path, text).with_context(|| format!("--out: cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, sync::Arc};

    use runtime::{Metrics, Tls};

    use super::*;

    fn opens(folder: &Path, family: &'static str, seams: &Seams) -> Result<(), String> {
        let metrics = Metrics::new("1").unwrap();
        let tls = Tls::between_tiers("--tls", folder, family, &["frontend"], seams, &metrics);
        tls.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_second_run_renews_with_the_same_ca_and_only_the_owner_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let (out, seams) = (folder.path().join("new"), Seams::system());
        assert!(make(&out, &holders(), 2, &seams).unwrap());
        let read = || -> BTreeMap<_, _> {
            let files = ["ca/ca.key", "ca/ca.pem", "logic/ca.pem", "logic/node.pem", "logic/node.key"];
            files.into_iter().map(|file| (file, fs::read_to_string(out.join(file)).unwrap())).collect()
        };
        let first = read();
        assert!(!make(&out, &["logic"], 2, &seams).unwrap());
        let second = read();
        for file in first.keys() {
            assert_eq!(first[file] != second[file], file.contains("node"), "{file}");
            assert_eq!(fs::metadata(out.join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        }
        for holder in ["logic", "orders", OPERATOR] {
            assert_eq!(opens(&out.join(holder), holder, &seams), Ok(()), "of the first run and of the second");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_with_the_file_and_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs, seams) = (folder.path().join("ours"), folder.path().join("theirs"), Seams::system());
        for out in [&ours, &theirs] {
            make(out, &["logic", "orders"], 2, &seams).unwrap();
        }
        let logic = ours.join("logic");
        let later = seams.now_ms() + 3 * 86_400_000;
        let later = Seams { clock: Arc::new(runtime::ManualClock::at(later)), ..Seams::system() };
        assert!(opens(&logic, "logic", &later).unwrap_err().contains("node.pem has expired; make it with `trestle"));
        assert!(opens(&logic, "orders", &seams).unwrap_err().contains("is not for orders.trestle.internal"));
        fs::copy(ours.join("orders/node.key"), logic.join("node.key")).unwrap();
        assert!(opens(&logic, "logic", &seams).unwrap_err().contains("node.key does not fit node.pem"));
        fs::copy(theirs.join("logic/node.pem"), logic.join("node.pem")).unwrap();
        assert!(opens(&logic, "logic", &seams).unwrap_err().contains("was not made by the CA in ca.pem"));
        fs::write(logic.join("node.pem"), "nothing").unwrap();
        assert!(opens(&logic, "logic", &seams).unwrap_err().contains("node.pem holds no certificate"));
        fs::remove_file(logic.join("ca.pem")).unwrap();
        let error = opens(&logic, "logic", &seams).unwrap_err();
        assert!(error.starts_with("--tls: ") && error.contains("ca.pem cannot be read"), "{error}");
    }
}
