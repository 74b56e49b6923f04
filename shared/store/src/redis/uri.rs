//! The address of a Redis: one server, Sentinels or a Cluster, and how many replicas a write waits for.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

/// Most replicas that a write may wait for.
const WAIT_MAX: u32 = 10;
/// How long a write waits for replicas unless `wait_ms` says otherwise, in milliseconds: as long as replicated memory.
const WAIT_MS: u32 = 300;
/// Most of it: a call between tiers gives up after a second, and must still hear what became of its write.
const WAIT_MS_MAX: u32 = 500;

/// Where a Redis is. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUri {
    /// How its masters are found.
    pub(super) place: Place,
    pub(super) login: Login,
    pub(super) wait: Wait,
}

/// How masters are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is this one.
    Server(String),
    /// These Sentinels know it by the name of the service.
    Sentinel { sentinels: Vec<String>, service: String },
    /// Each keeps some slots; these know which.
    Cluster(Vec<String>),
}

/// What a connection begins with. Sentinels are asked without it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
}

/// How many replicas a write waits for, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) replicas: u32,
    pub(super) within_ms: u32,
}

impl Wait {
    pub(super) fn within(self) -> Duration {
        if self.replicas == 0 { Duration::ZERO } else { Duration::from_millis(self.within_ms.into()) }
    }
}

impl FromStr for RedisUri {
    /// What is wrong, without the URI.
    type Err = String;

    fn from_str(uri: &str) -> Result<Self, String> {
        let (scheme, rest) = uri.split_once("://").ok_or("it has no scheme")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, servers) = match authority.rsplit_once('@') {
            Some((login, servers)) => (read_login(login)?, servers),
            None => (Login::default(), authority),
        };
        let addresses = servers.split(',').map(address).collect::<Result<Vec<_>, _>>()?;
        let (place, database) = match (scheme, addresses.as_slice()) {
            ("redis", [one]) if path.is_empty() => (Place::Server(one.clone()), 0),
            ("redis", [one]) => {
                let database = path.parse().map_err(|_| format!("\"{path}\" is no number of a database"))?;
                (Place::Server(one.clone()), database)
            }
            ("redis", _) => {
                return Err("redis:// names one server; use redis+sentinel:// or redis+cluster://".to_owned());
            }
            ("redis+sentinel", _) if path.is_empty() || path.contains('/') => {
                return Err("redis+sentinel:// ends in the name of the service: host:port,host:port/service".to_owned());
            }
            ("redis+sentinel", _) => (Place::Sentinel { sentinels: addresses, service: path.to_owned() }, 0),
            ("redis+cluster", _) if path.is_empty() => (Place::Cluster(addresses), 0),
            ("redis+cluster", _) => return Err("a Redis Cluster has one database: leave out the path".to_owned()),
            _ => return Err(format!("{scheme}:// is no scheme of a Redis")),
        };
        Ok(Self { place, login: Login { database, ..login }, wait: read_query(query)? })
    }
}

/// `user:password`, either of which may be missing.
fn read_login(text: &str) -> Result<Login, String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let part = |text: &str| if text.is_empty() { Ok(None) } else { decoded(text).map(Some) };
    Ok(Login { user: part(user)?, password: part(password)?, database: 0 })
}

/// What stands for `/`, `?`, `@` and the like in a password.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.ok_or("a % in user or password is written %25")?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| "user and password are UTF-8".to_owned())
}

/// `host:port`, `[::1]:port`.
fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(text.to_owned()),
        _ => Err(format!("\"{text}\" is no host:port")),
    }
}

fn read_query(query: &str) -> Result<Wait, String> {
    let mut settings = BTreeMap::new();
    for setting in query.split('&').filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        let most = match name {
            "wait" => WAIT_MAX,
            "wait_ms" => WAIT_MS_MAX,
            _ => return Err(format!("setting \"{name}\" is unknown; there are wait and wait_ms")),
        };
        let least = u32::from(name == "wait_ms");
        let value = value.parse().ok().filter(|value| (least..=most).contains(value));
        let value = value.ok_or_else(|| format!("{name} is a number from {least} to {most}"))?;
        if settings.insert(name, value).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    let replicas = settings.get("wait").copied().unwrap_or(0);
    if replicas == 0 && settings.contains_key("wait_ms") {
        return Err("wait_ms without wait waits for nobody".to_owned());
    }
    Ok(Wait { replicas, within_ms: settings.get("wait_ms").copied().unwrap_or(WAIT_MS) })
}

impl fmt::Display for RedisUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = match (&self.login.user, &self.login.password) {
            (None, None) => String::new(),
            (user, None) => format!("{}@", user.as_deref().unwrap_or_default()),
            (user, Some(_)) => format!("{}:***@", user.as_deref().unwrap_or_default()),
        };
        match &self.place {
            Place::Server(address) => write!(f, "redis://{login}{address}/{}", self.login.database)?,
            Place::Sentinel { sentinels, service } => {
                write!(f, "redis+sentinel://{login}{}/{service}", sentinels.join(","))?;
            }
            Place::Cluster(seeds) => write!(f, "redis+cluster://{login}{}", seeds.join(","))?,
        }
        match self.wait.replicas {
            0 => Ok(()),
            replicas => write!(f, "?wait={replicas}&wait_ms={}", self.wait.within_ms),
        }
    }
}

impl fmt::Debug for RedisUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_and_shown_without_password() {
        for (uri, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379/0"),
            ("redis://:s3cret@db:6379/3", "redis://:***@db:6379/3"),
            ("redis://shop:s3%40cret@[::1]:6379/0?wait=1", "redis://shop:***@[::1]:6379/0?wait=1&wait_ms=300"),
            (
                "redis+sentinel://:s3cret@a:1,b:2/shop?wait=2&wait_ms=50",
                "redis+sentinel://:***@a:1,b:2/shop?wait=2&wait_ms=50",
            ),
            ("redis+cluster://a:1,b:2,c:3", "redis+cluster://a:1,b:2,c:3"),
        ] {
            let read: RedisUri = uri.parse().unwrap();
            assert_eq!((read.to_string(), format!("{read:?}")), (shown.to_owned(), format!("\"{shown}\"")));
        }
        let read: RedisUri = "redis://shop:s3%40cret@a:1/2?wait=1".parse().unwrap();
        assert_eq!((read.login.password.as_deref(), read.login.database), (Some("s3@cret"), 2));
        assert_eq!(read.wait, Wait { replicas: 1, within_ms: WAIT_MS });
    }

    #[test]
    fn nonsense_is_named_and_passwords_are_not() {
        for (uri, named) in [
            ("redis://:s3cret@db", "\"db\" is no host:port"),
            ("redis://:s3cret@a:1,b:2", "one server"),
            ("redis://:s3cret@a:1/shop", "\"shop\" is no number"),
            ("redis+sentinel://:s3cret@a:1", "name of the service"),
            ("redis+cluster://:s3cret@a:1/1", "leave out the path"),
            ("redis://:s3cret@a:1?tls=on", "\"tls\" is unknown"),
            ("redis://:s3cret@a:1?wait=11", "wait is a number from 0 to 10"),
            ("redis://:s3cret@a:1?wait=1&wait_ms=0", "wait_ms is a number from 1 to 500"),
            ("redis://:s3cret@a:1?wait=1&wait=2", "wait is there twice"),
            ("redis://:s3cret@a:1?wait_ms=5", "wait_ms without wait"),
            ("redis://:s3cret%@a:1", "%25"),
            ("rediss://:s3cret@a:1", "rediss:// is no scheme"),
        ] {
            let error = uri.parse::<RedisUri>().unwrap_err();
            assert!(error.contains(named) && !error.contains("s3cret"), "{uri}: {error}");
        }
    }
}
