//! Receipts as files in a mailbox folder, one for each event. The event's id is the file's name, so a receipt that is
//! delivered twice is written once.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use contract::{EventId, PrincipalId, orders::Order};

/// Where receipts go.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox(PathBuf);

impl Mailbox {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Writes the receipt unless it is there already.
    pub(crate) async fn send_receipt(&self, id: EventId, to: PrincipalId, order: &Order) -> std::io::Result<()> {
        let file = self.0.join(format!("{id}.eml"));
        if tokio::fs::try_exists(&file).await? {
            return Ok(());
        }
        tokio::fs::create_dir_all(&self.0).await?;
        write_whole(&file, &receipt(id, to, order)).await
    }
}

/// Under another name first: a reader, or a node that dies, never leaves half a receipt under the final one.
async fn write_whole(file: &Path, text: &str) -> std::io::Result<()> {
    let part = file.with_extension(format!("{}.part", std::process::id()));
    tokio::fs::write(&part, text).await?;
    tokio::fs::rename(&part, file).await
}

fn receipt(id: EventId, to: PrincipalId, order: &Order) -> String {
    let mut text = format!(
        "Message-ID: <{id}@trestle.invalid>\nTo: <{to}@customers.trestle.invalid>\nSubject: Your order {}\n\
         Content-Type: text/plain; charset=utf-8\n\nThank you for your order of {}.\n\n",
        order.id,
        runtime::rfc3339(order.created_at_ms),
    );
    for line in &order.lines {
        let _ = writeln!(text, "{:>4} x {}  {}", line.quantity, line.title, line.line_total);
    }
    let _ = writeln!(text, "\nTotal {}", order.total);
    text
}

#[cfg(test)]
mod tests {
    use contract::{Money, OperationId, orders::OrderState};
    use runtime::Seams;

    use super::*;

    #[tokio::test]
    async fn a_receipt_delivered_twice_is_written_once() {
        let seams = Seams::system();
        let folder = std::env::temp_dir().join(seams.token());
        let order = Order {
            id: OperationId(seams.uuid()),
            state: OrderState::Completed,
            lines: Vec::new(),
            total: Money::gbp(1299),
            address: None,
            created_at_ms: 0,
        };
        let (mailbox, id) = (Mailbox::new(folder.clone()), EventId(seams.uuid()));
        for _ in 0..2 {
            mailbox.send_receipt(id, PrincipalId(seams.uuid()), &order).await.unwrap();
        }
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert!(std::fs::read_to_string(&files[0]).unwrap().contains("Total £12.99"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
