//! One SQL text for SQLite and PostgreSQL. sqlx types a query by its database; here a query is a text and its values, and
//! the link it runs on decides. The dialects of our statements differ in two places, which are written one way:
//!
//! - `now_ms()` is Unix milliseconds by the database's clock (SEM-7);
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

    pub(crate) fn for_sqlite(self) -> Query<'static, Sqlite, SqliteArguments> {
        let text = self.text.replace(" FOR UPDATE SKIP LOCKED", "").replace(" FOR UPDATE", "");
        let text = text.replace("now_ms()", SQLITE_NOW_MS);
        self.values.into_iter().fold(sqlx::query(AssertSqlSafe(text)), |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        })
    }

    pub(crate) fn for_postgres(self) -> Query<'static, Postgres, PgArguments> {
        let text = self.text.replace("now_ms()", POSTGRES_NOW_MS);
        self.values.into_iter().fold(sqlx::query(AssertSqlSafe(text)), |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        })
    }
}
