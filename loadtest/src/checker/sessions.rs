//! K16: sessions lie on every node of their family, so one that was acknowledged survives whatever happens to all but one.
//! Nobody logs out in this run, and it is shorter than any session lives. A node that stood still may refuse somebody who
//! came meanwhile until it has caught up; it must know the session after that.

use std::collections::BTreeSet;

use super::{Check, Evidence, Findings, any_meets};

pub(crate) fn check(evidence: &Evidence, findings: &mut Findings) {
    let answered = evidence.sent.iter().filter_map(|sent| Some((sent, sent.told()?)));
    let with_session = answered.filter(|(sent, _)| !sent.session.is_empty());
    let (mut sessions, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for (sent, told) in with_session {
        sessions.insert(&sent.session);
        let stale = any_meets(&evidence.stale_sessions_ms, sent.begin_ms, sent.begin_ms);
        if told.status == 401 && !stale && refused.insert(&sent.session) {
            findings.violation(
                Check::K16Sessions,
                format!("at {} ms a customer's session was not known any more", sent.begin_ms),
            );
        }
    }
    for session in sessions {
        let kept = !evidence.forgotten.contains(session) || refused.contains(session);
        findings.expect(Check::K16Sessions, kept, || "a customer's session was not known at the end".to_owned());
    }
}
