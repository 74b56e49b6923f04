//! Static files, out of the binary. Their version is a folder of the address (`/static/<version>/app.js`), so the relative
//! imports between modules carry it along: one page never mixes modules of two releases, and all may be cached for ever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use rust_embed::Embed;
use sha2::{Digest as _, Sha256};

/// For addresses that name what they show. Not in debug builds, which read the files anew from the folder each time.
const FOR_EVER: &str = if cfg!(debug_assertions) { "no-cache" } else { "public, max-age=31536000, immutable" };
/// For addresses that do not.
const ASK_AGAIN: &str = "no-cache";
/// Hexadecimal digits of a version.
const VERSION_LEN: usize = 12;

#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/static"]
struct Files;

/// The folder of this build's files: `/static/<version>`.
static FOLDER: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Files::iter().collect();
    names.sort_unstable();
    let mut hash = Sha256::new();
    for name in names {
        hash.update(name.as_bytes());
        hash.update(Files::get(&name).map(|file| file.metadata.sha256_hash()).unwrap_or_default());
    }
    format!("/static/{}", &hex(&hash.finalize())[..VERSION_LEN])
});

/// Where pages find this build's static files.
pub(crate) fn folder() -> &'static str {
    &FOLDER
}

/// One static file, under its version, an older version, or none.
pub(crate) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let current = FOLDER.trim_start_matches("/static/");
    let (name, caching) = match path.split_once('/') {
        Some((version, name)) if version == current => (name, FOR_EVER),
        // A page of another release asks this node during a rolling change: today's file is the best there is.
        Some((version, name)) if is_version(version) => (name, ASK_AGAIN),
        _ => (path.as_str(), ASK_AGAIN),
    };
    let Some(file) = Files::get(name) else { return super::trouble::not_found() };
    let tag = format!("\"{}\"", &hex(&file.metadata.sha256_hash())[..32]);
    cached(&headers, &tag, caching, media_type(name), || file.data.into_owned())
}

/// An answer that the client may keep: 304 if it has this one already (RFC 9110, 13.1.2).
pub(super) fn cached(
    headers: &HeaderMap,
    tag: &str,
    caching: &'static str,
    media_type: &'static str,
    body: impl FnOnce() -> Vec<u8>,
) -> Response {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = known.flat_map(|value| value.split(',')).map(|one| one.trim().trim_start_matches("W/"));
    let mut response = if known.into_iter().any(|one| one == tag || one == "*") {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media_type)], body()).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn is_version(text: &str) -> bool {
    text.len() == VERSION_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file that a template or a module names.
    fn referenced() -> Vec<(String, String)> {
        let mut found = Vec::new();
        let templates = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/templates")).unwrap();
        for entry in templates {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split("{{ shell.assets }}/").skip(1) {
                found.push((path.display().to_string(), part.split(['"', '#']).next().unwrap().to_owned()));
            }
        }
        for name in Files::iter().filter(|name| name.ends_with(".js")) {
            let text = String::from_utf8(Files::get(&name).unwrap().data.into_owned()).unwrap();
            for part in text.split("from \"./").skip(1) {
                found.push((name.to_string(), part.split('"').next().unwrap().to_owned()));
            }
        }
        found
    }

    #[test]
    fn every_static_file_that_is_named_exists_and_has_a_type() {
        let referenced = referenced();
        assert!(referenced.len() > 15, "{referenced:?}");
        for (by, name) in referenced {
            assert!(Files::get(&name).is_some(), "{by} names {name}");
            assert_ne!(media_type(&name), "application/octet-stream", "{name}");
        }
    }

    #[tokio::test]
    async fn a_file_is_kept_by_its_tag_and_for_ever_only_under_its_version() {
        let get = |path: String, headers| asset(Path(path), headers);
        let version = folder().trim_start_matches("/static/");
        let first = get(format!("{version}/style.css"), HeaderMap::new()).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CACHE_CONTROL], FOR_EVER);
        let tag = first.headers()[header::ETAG].clone();
        assert!(tag.to_str().unwrap().starts_with('"'), "a strong tag");
        let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]);
        assert_eq!(get("style.css".to_owned(), headers).await.status(), StatusCode::NOT_MODIFIED);
        let older = get("0123456789ab/style.css".to_owned(), HeaderMap::new()).await;
        assert_eq!(older.status(), StatusCode::OK);
        assert_eq!(older.headers()[header::CACHE_CONTROL], ASK_AGAIN);
        for missing in ["nothing.css", "../Cargo.toml", "0123456789ab/../../Cargo.toml"] {
            assert_eq!(get(missing.to_owned(), HeaderMap::new()).await.status(), StatusCode::NOT_FOUND, "{missing}");
        }
    }
}
