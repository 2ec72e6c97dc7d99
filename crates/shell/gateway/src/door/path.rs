//! How a program may read a path that we read as it is.
//!
//! Routes are matched as bytes, and programs decode: `/%61dmin`, `//admin` and `/x/../admin` are `/admin` to most of
//! them, `/Admin` is to some. If a stricter route fits what a program may read, the stricter one decides about `auth`.

/// Decoded once, lower case, without empty and dotted segments. None: there is nothing to read in two ways.
pub(crate) fn as_read(path: &str) -> Option<String> {
    let odd = |byte: u8| byte == b'%' || byte == b'\\' || byte.is_ascii_uppercase();
    if !path.bytes().any(odd) && !path.contains("//") && !path.contains("/.") {
        return None;
    }
    let decoded = decode(path.as_bytes());
    let text = String::from_utf8_lossy(&decoded)
        .to_ascii_lowercase()
        .replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

fn decode(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| {
        let letter = char::from(*path.get(at)?);
        letter.to_digit(16).map(|digit| digit as u8)
    };
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        match (path[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path() {
        for path in [
            "/%61dmin",
            "//admin",
            "/x/../admin",
            "/Admin",
            "/./admin",
            "/x/..%2fadmin",
            "\\admin",
        ] {
            assert_eq!(as_read(path).as_deref(), Some("/admin"), "{path}");
        }
        assert_eq!(as_read("/admin"), None);
        assert_eq!(as_read("/../../a%"), Some("/a%".into()));
    }
}
