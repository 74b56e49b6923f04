//! One SQL text for SQLite and PostgreSQL. sqlx types a query by its database; here a query is a text and its values, and
//! the link it runs on decides. The dialects of our statements differ in three places, which are written one way:
//!
//! - `now_ms()` is Unix milliseconds by the database's clock (SEM-7);
//! - `x = EACH($1)` is "one of those that [`Sql::bind_each`] bound", in one text whatever their number: a text of its own for
//!   each number would be prepared anew each time;
//! - `FOR UPDATE` and `FOR UPDATE SKIP LOCKED` are left out on SQLite, whose writers hold the whole database anyway.
//!
//! Values are 64-bit integers, texts and bytes, and their absence: all that our tables hold.

use std::borrow::Cow;

use sqlx::{AssertSqlSafe, Postgres, Sqlite, postgres::PgArguments, query::Query, sqlite::SqliteArguments};

/// Unix milliseconds by the database's clock.
const SQLITE_NOW_MS: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";
const POSTGRES_NOW_MS: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// A statement and its values.
#[derive(Debug)]
#[must_use = "a statement does nothing until a link runs it"]
pub struct Sql {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement, with `$1`, `$2`, ... for values. The text must be made of constants: values are bound, never pasted in.
pub fn sql(text: impl Into<Cow<'static, str>>) -> Sql {
    Sql { text: text.into(), values: Vec::new() }
}

/// A value of a statement.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number.
    Integer(Option<i64>),
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
}

macro_rules! values {
    ($($from:ty => $variant:ident($value:ident) $into:expr;)+) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                Self::$variant($into)
            }
        }
    )+};
}

values! {
    i64 => Integer(value) Some(value);
    u32 => Integer(value) Some(value.into());
    Option<i64> => Integer(value) value;
    &str => Text(value) Some(value.to_owned());
    String => Text(value) Some(value);
    &String => Text(value) Some(value.clone());
    Option<String> => Text(value) value;
    Option<&str> => Text(value) value.map(str::to_owned);
    &[u8] => Bytes(value) Some(value.to_vec());
    Vec<u8> => Bytes(value) Some(value);
    Option<Vec<u8>> => Bytes(value) value;
}

impl Sql {
    /// The next value.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The next value: names without commas, such as ids, for one `EACH($n)`.
    pub fn bind_each(self, names: impl IntoIterator<Item: std::fmt::Display>) -> Self {
        let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
        debug_assert!(names.iter().all(|name| !name.contains(',')), "a name has no comma");
        self.bind(names.join(","))
    }

    pub(crate) fn for_sqlite(self) -> Query<'static, Sqlite, SqliteArguments> {
        let text = self.text.replace(" FOR UPDATE SKIP LOCKED", "").replace(" FOR UPDATE", "");
        let text = text.replace("now_ms()", SQLITE_NOW_MS);
        let text = each(&text, |names| {
            format!("IN (SELECT value FROM json_each('[\"' || replace({names}, ',', '\",\"') || '\"]'))")
        });
        self.values.into_iter().fold(sqlx::query(AssertSqlSafe(text)), |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        })
    }

    pub(crate) fn for_postgres(self) -> Query<'static, Postgres, PgArguments> {
        let text = self.text.replace("now_ms()", POSTGRES_NOW_MS);
        let text = each(&text, |names| format!("= ANY (string_to_array({names}, ','))"));
        self.values.into_iter().fold(sqlx::query(AssertSqlSafe(text)), |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        })
    }
}

/// Writes each `= EACH($n)` in the dialect's way.
fn each(text: &str, write: impl Fn(&str) -> String) -> String {
    let mut parts = text.split("= EACH(");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (names, rest) = part.split_once(')').unwrap_or((part, ""));
        written.push_str(&write(names));
        written.push_str(rest);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_written_in_both_dialects() {
        let text = "a = $1 AND b = EACH($2) OR (c = EACH($12))";
        assert_eq!(each(text, |names| format!("in <{names}>")), "a = $1 AND b in <$2> OR (c in <$12>)");
        assert_eq!(each("SELECT 1", |_| unreachable!()), "SELECT 1");
    }
}
