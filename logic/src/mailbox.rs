//! Receipts: a file for each event in a mailbox folder and, if a relay is named, a mail. The event's id is the file's name
//! and the mail's Message-ID. The file is written last and marks the event as done, so a receipt that is delivered twice
//! is written once; it may be mailed twice, by the same Message-ID, if a node dies in between.

mod smtp;

use std::{
    fmt::{self, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use contract::{EventId, PrincipalId, orders::Order};

pub use smtp::{SmtpUri, SmtpUriError};

/// Who writes.
const FROM: &str = "shop@trestle.invalid";

/// Where receipts go. A simulation puts a list here.
#[async_trait]
pub trait Receipts: fmt::Debug + Send + Sync {
    /// Sends the receipt unless that is done already.
    ///
    /// # Errors
    /// When it is not certain that it was sent; then it is sent again later.
    async fn send(&self, id: EventId, to: PrincipalId, order: &Order) -> std::io::Result<()>;
}

/// A folder, and perhaps a relay.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    folder: PathBuf,
    relay: Option<smtp::Smtp>,
}

impl Mailbox {
    pub(crate) fn new(folder: PathBuf, relay: Option<&SmtpUri>) -> Self {
        Self { folder, relay: relay.map(smtp::Smtp::new) }
    }
}

#[async_trait]
impl Receipts for Mailbox {
    async fn send(&self, id: EventId, to: PrincipalId, order: &Order) -> std::io::Result<()> {
        let file = self.folder.join(format!("{id}.eml"));
        let to = format!("{to}@customers.trestle.invalid");
        let mail = receipt(id, &to, order);
        if let Some(relay) = &self.relay {
            if tokio::fs::try_exists(&file).await? {
                return Ok(());
            }
            relay.send(FROM, &to, &mail).await?;
        }
        // All of it on one thread: a hop for each call to the file system costs more than the call.
        tokio::task::spawn_blocking(move || put(&file, &mail)).await.map_err(std::io::Error::other)?
    }
}

/// Writes a receipt unless it is there. Under another name first: a reader, or a node that dies, never leaves half a receipt
/// under the final one.
fn put(file: &Path, text: &str) -> std::io::Result<()> {
    if file.try_exists()? {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let part = file.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&part, text)?;
    std::fs::rename(&part, file)
}

fn receipt(id: EventId, to: &str, order: &Order) -> String {
    let mut text = format!(
        "Message-ID: <{id}@trestle.invalid>\nFrom: Trestle <{FROM}>\nTo: <{to}>\nSubject: Your order {}\n\
         MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
         Thank you for your order of {}.\n\n",
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
    use runtime::{Seams, Tasks};
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpListener,
        sync::mpsc,
    };

    use super::*;

    fn order(seams: &Seams) -> Order {
        Order {
            id: OperationId(seams.uuid()),
            state: OrderState::Completed,
            lines: Vec::new(),
            total: Money::gbp(1299),
            address: None,
            created_at_ms: 0,
        }
    }

    #[tokio::test]
    async fn a_receipt_delivered_twice_is_written_once() {
        let seams = Seams::system();
        let folder = std::env::temp_dir().join(seams.token());
        let (mailbox, id, order) = (Mailbox::new(folder.clone(), None), EventId(seams.uuid()), order(&seams));
        for _ in 0..2 {
            mailbox.send(id, PrincipalId(seams.uuid()), &order).await.unwrap();
        }
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert!(std::fs::read_to_string(&files[0]).unwrap().contains("Total £12.99"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// A relay that takes every mail, but says no to the first; gives away each mail's text.
    async fn relay(tasks: &Tasks) -> (SmtpUri, mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("smtp://127.0.0.1:{}", listener.local_addr().unwrap().port()).parse().unwrap();
        let (mails, received) = mpsc::unbounded_channel();
        tasks.spawn_until_stop(async move {
            let mut busy = true;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (read, mut write) = stream.split();
                let mut lines = BufReader::new(read).lines();
                write.write_all(b"220 relay\r\n").await.unwrap();
                let mut mail = None::<String>;
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = match (&mut mail, line.as_str()) {
                        (Some(_), ".") => {
                            let answer = if busy { "451 later\r\n" } else { "250 taken\r\n" };
                            mails.send(mail.take().unwrap()).unwrap();
                            busy = false;
                            answer
                        }
                        (Some(text), line) => {
                            text.push_str(line);
                            text.push('\n');
                            continue;
                        }
                        (None, "DATA") => {
                            mail = Some(String::new());
                            "354 go on\r\n"
                        }
                        (None, "QUIT") => break,
                        (None, hello) if hello.starts_with("EHLO") => "250-relay\r\n250 8BITMIME\r\n",
                        (None, _) => "250 fine\r\n",
                    };
                    write.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        (uri, received)
    }

    #[tokio::test]
    async fn a_relay_gets_a_receipt_until_it_takes_it_and_not_again() {
        let (seams, tasks) = (Seams::system(), Tasks::new());
        let folder = std::env::temp_dir().join(seams.token());
        let (uri, mut mails) = relay(&tasks).await;
        let mailbox = Mailbox::new(folder.clone(), Some(&uri));
        let (id, to, order) = (EventId(seams.uuid()), PrincipalId(seams.uuid()), order(&seams));
        mailbox.send(id, to, &order).await.unwrap_err();
        assert!(!folder.exists(), "what the relay did not take is not done");
        for _ in 0..2 {
            mailbox.send(id, to, &order).await.unwrap();
        }
        let (refused, taken) = (mails.recv().await.unwrap(), mails.recv().await.unwrap());
        assert_eq!(refused, taken, "the same mail, by the same Message-ID");
        assert!(taken.starts_with(&format!("Message-ID: <{id}@trestle.invalid>\n")), "{taken}");
        assert!(taken.contains(&format!("To: <{to}@customers")) && taken.contains("Total £12.99"), "{taken}");
        assert!(mails.try_recv().is_err(), "mailed once more after it was done");
        tasks.stop();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
