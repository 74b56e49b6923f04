//! Passwords: Argon2id with the crate's recommended parameters (19 MiB, 2 passes, 1 lane; OWASP's first choice).
//!
//! A hash takes tens of milliseconds of a core and 19 MiB, so at most [`AT_ONCE`] run, at most [`WAITING_MAX`] wait, and
//! none waits longer than its caller does: logins may not take the machine away from lookups. The permit moves into the
//! blocking task, because a caller that gives up does not stop the hash.
//!
//! The memory is ours and used again: the allocator would keep 19 MiB for each blocking thread that ever hashed, which
//! grows to several hundred MiB, and every hash would fault its pages in afresh.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        self,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use contract::{CallError, sessions::Password};
use rpc::Scope;
use runtime::Seams;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hashes that run at once.
const AT_ONCE: usize = 2;
/// Callers that wait for their turn; further ones are turned away at once.
const WAITING_MAX: usize = 64;
/// Left of the deadline for the hash itself.
const HASH_TAKES: Duration = Duration::from_millis(100);
/// How long a caller without a deadline waits.
const PATIENCE_DEFAULT: Duration = Duration::from_secs(4);
/// Shortest and longest password in bytes; the edge tells customers, this is the guard behind it.
const BYTES_MIN: usize = 8;
const BYTES_MAX: usize = 128;

/// Whether any account can have this password.
pub(crate) const fn is_possible(password: &Password) -> bool {
    password.0.len() >= BYTES_MIN && password.0.len() <= BYTES_MAX
}

/// Hashes and verifies, a few at a time.
pub(crate) struct Hasher {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Memory of hashes that do not run just now; never more than [`AT_ONCE`] pieces.
    memories: Arc<Mutex<Vec<Vec<Block>>>>,
    seams: Seams,
    /// The hash of a password that nobody knows, for addresses that have no account: they must cost the same time.
    nobodys: String,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("free", &self.running.available_permits()).finish_non_exhaustive()
    }
}

/// Why nothing was hashed; harmless to try again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotHashed(String);

impl<R> From<NotHashed> for CallError<R> {
    fn from(error: NotHashed) -> Self {
        Self::NotExecuted(error.to_string())
    }
}

impl Hasher {
    pub(crate) fn new(seams: Seams) -> anyhow::Result<Self> {
        let mut memory = Vec::new();
        let nobodys = hash(&mut memory, seams.token().as_bytes(), &salt(&seams))
            .map_err(|error| anyhow::anyhow!("passwords cannot be hashed: {error}"))?;
        let (running, waiting) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(WAITING_MAX)));
        Ok(Self { running, waiting, memories: Arc::new(Mutex::new(vec![memory])), seams, nobodys })
    }

    /// The PHC string of a password under a fresh salt.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, NotHashed> {
        let salt = salt(&self.seams);
        let hashed = self.in_turn(move |memory| hash(memory, password.0.as_bytes(), &salt)).await?;
        hashed.map_err(|error| NotHashed(format!("the password cannot be hashed: {error}")))
    }

    /// Whether this is the password behind the hash; takes the same time, and says no, where there is no hash.
    pub(crate) async fn verify(&self, password: Password, known: Option<String>) -> Result<bool, NotHashed> {
        let is_known = known.is_some();
        let expected = known.unwrap_or_else(|| self.nobodys.clone());
        let same = self.in_turn(move |memory| is_same(memory, password.0.as_bytes(), &expected));
        let same = same.await?.map_err(|error| NotHashed(format!("a stored hash cannot be read: {error}")))?;
        Ok(same && is_known)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, NotHashed> {
        let (permit, memories) = (self.turn().await?, self.memories.clone());
        let worked = tokio::task::spawn_blocking(move || {
            let mut memory = memories.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            let worked = work(&mut memory);
            memories.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
            drop(permit);
            worked
        });
        worked.await.map_err(|error| NotHashed(error.to_string()))
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, NotHashed> {
        let busy = |_| NotHashed("too many logins at once".to_owned());
        let _waits = self.waiting.try_acquire().map_err(busy)?;
        let patience = Scope::current().map_or(PATIENCE_DEFAULT, |scope| scope.remaining()).saturating_sub(HASH_TAKES);
        let late = |_| NotHashed("logins are busy: no turn within the deadline".to_owned());
        let turn = tokio::time::timeout(patience, self.running.clone().acquire_owned()).await.map_err(late)?;
        turn.map_err(|error| NotHashed(error.to_string()))
    }
}

fn hash(memory: &mut Vec<Block>, password: &[u8], salt: &[u8]) -> Result<String, password_hash::Error> {
    let (params, salt) = (Params::default(), Salt::new(salt)?);
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(salt),
        hash: Some(output(memory, params, password, &salt)?),
    };
    Ok(hash.to_string())
}

/// Computed with the parameters that the hash names, so that they can be raised while old accounts stay.
fn is_same(memory: &mut Vec<Block>, password: &[u8], expected: &str) -> Result<bool, password_hash::Error> {
    let expected = PasswordHash::new(expected)?;
    if expected.algorithm != Algorithm::Argon2id.ident() || expected.version != Some(Version::V0x13.into()) {
        return Err(password_hash::Error::Algorithm);
    }
    let (Some(salt), Some(known)) = (&expected.salt, &expected.hash) else {
        return Err(password_hash::Error::EncodingInvalid);
    };
    // Outputs are compared in constant time.
    Ok(output(memory, Params::try_from(&expected)?, password, salt)? == *known)
}

fn output(
    memory: &mut Vec<Block>,
    params: Params,
    password: &[u8],
    salt: &Salt,
) -> Result<Output, password_hash::Error> {
    let mut output = [0; Output::MAX_LENGTH];
    let output = &mut output[..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN).min(Output::MAX_LENGTH)];
    memory.resize(params.block_count(), Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password, salt, output, memory)?;
    Ok(Output::new(output)?)
}

fn salt(seams: &Seams) -> [u8; 16] {
    let mut salt = [0; 16];
    seams.random.fill(&mut salt);
    salt
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc::TraceContext;

    fn password(text: &str) -> Password {
        Password(text.to_owned())
    }

    #[tokio::test]
    async fn a_hash_fits_its_own_password_only_and_says_its_parameters() {
        let hasher = Hasher::new(Seams::system()).unwrap();
        let hash = hasher.hash(password("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hasher.hash(password("correct horse")).await.unwrap(), "salted");
        assert!(hasher.verify(password("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify(password("correct house"), Some(hash)).await.unwrap());
        assert!(!hasher.verify(password("correct horse"), None).await.unwrap());
        assert_eq!(hasher.memories.lock().unwrap().len(), 1, "used again");
    }

    #[test]
    fn hashes_are_those_of_the_library() {
        use argon2::{PasswordHasher as _, PasswordVerifier as _};
        let mut memory = Vec::new();
        let theirs = Argon2::default().hash_password_with_salt(b"correct horse", &[7; 16]).unwrap().to_string();
        assert_eq!(hash(&mut memory, b"correct horse", &[7; 16]).unwrap(), theirs);
        let ours = hash(&mut memory, b"another horse", &[8; 16]).unwrap();
        assert!(Argon2::default().verify_password(b"another horse", &PasswordHash::new(&ours).unwrap()).is_ok());
        // Other parameters, as an older or newer version may have stored them.
        let params = Params::new(1_024, 1, 1, None).unwrap();
        let other = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let other = other.hash_password_with_salt(b"correct horse", &[9; 16]).unwrap().to_string();
        assert!(is_same(&mut memory, b"correct horse", &other).unwrap());
        assert!(!is_same(&mut memory, b"correct house", &other).unwrap());
        for broken in ["", "$argon2id$v=19$m=19456,t=2,p=1", &theirs.replace("argon2id", "argon2d")] {
            assert!(is_same(&mut memory, b"correct horse", broken).is_err(), "{broken}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_no_longer_than_the_deadline_also_without_an_account() {
        let hasher = Hasher::new(Seams::system()).unwrap();
        let _busy = hasher.running.clone().acquire_many_owned(2).await.unwrap();
        let scope = Scope::new(Duration::from_secs(1), TraceContext::start(&Seams::system()));
        // Without an account the hash is computed too, or its absence would show in the time.
        let refused = scope.run(hasher.verify(password("correct horse"), None)).await.unwrap_err();
        assert!(refused.to_string().contains("deadline"));
        assert!(scope.remaining() >= HASH_TAKES);
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded() {
        let hasher = Hasher::new(Seams::system()).unwrap();
        let _waiting = hasher.waiting.clone().acquire_many_owned(WAITING_MAX as u32).await.unwrap();
        let refused = hasher.hash(password("correct horse")).await.unwrap_err();
        assert!(refused.to_string().contains("too many"));
    }

    #[test]
    fn impossible_passwords_are_known_as_such() {
        assert!(!is_possible(&password("1234567")) && !is_possible(&password(&"x".repeat(129))));
        assert!(is_possible(&password("12345678")) && is_possible(&password(&"x".repeat(128))));
    }
}
