//! The session's algebra: the laws of its join, and what must win.

use contract::{
    PrincipalId,
    session::{Account, Session},
};
use proptest::prelude::*;
use uuid::Uuid;

const CASES: u32 = 20_000;

fn session() -> impl Strategy<Value = Session> {
    (0_u128..3, any::<bool>(), 0_i64..3, any::<bool>()).prop_map(|(principal, is_account, expires_at_ms, revoked)| {
        let principal = PrincipalId(Uuid::from_u128(principal));
        let account = is_account.then(|| Account { id: principal, email: format!("{principal}@example.org") });
        Session { principal, account, expires_at_ms, revoked }
    })
}

fn joined(one: &Session, other: &Session) -> Session {
    let mut session = one.clone();
    session.merge(other);
    session
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold(a in session(), b in session(), c in session()) {
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(joined(&joined(&a, &b), &b), joined(&a, &b));
        prop_assert_eq!(joined(&a, &a), a);
    }

    /// Whoever logged out stays logged out, whatever other replicas still think.
    #[test]
    fn revocation_wins(a in session(), b in session(), now_ms in 0_i64..3) {
        prop_assert_eq!(joined(&a, &b).revoked, a.revoked || b.revoked);
        prop_assert!(!(a.revoked && joined(&a, &b).is_live(now_ms)));
    }
}
