//! User data of an instance: a text, or what cloud-init unpacks to one.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a gzip file begins with (RFC 1952, 2.3.1: two identifying bytes and deflate).
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// User data of a launch, not yet encoded.
///
/// Serialised, a text is itself; what is compressed is in base64, since JSON has no bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UserData {
    /// As it was written.
    Text(String),
    /// Compressed with gzip. cloud-init unpacks it before it looks at its kind (cloud-init's
    /// documentation, "User data formats", gzip).
    Gzip(Vec<u8>),
}

impl UserData {
    /// Creates a text, compressed: the same bytes for the same text, without a time in them.
    #[must_use]
    pub fn compressed(text: &str) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory cannot fail.
        let _ = encoder.write_all(text.as_bytes());
        Self::Gzip(encoder.finish().unwrap_or_default())
    }

    /// Returns what EC2 shows, decoded; `None` for bytes that are neither.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        if bytes.starts_with(&GZIP) {
            return Some(Self::Gzip(bytes));
        }
        String::from_utf8(bytes).ok().map(Self::Text)
    }

    /// Returns what EC2's limit of 16,384 bytes counts.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Gzip(bytes) => bytes,
        }
    }

    /// Returns the text, unless it is compressed.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Gzip(_) => None,
        }
    }

    /// Encodes it as EC2's API takes it.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.as_bytes())
    }
}

impl Serialize for UserData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Gzip(_) => serializer.serialize_str(&self.to_base64()),
        }
    }
}

impl<'de> Deserialize<'de> for UserData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(&text).ok();
        Ok(match bytes.filter(|bytes| bytes.starts_with(&GZIP)) {
            Some(bytes) => Self::Gzip(bytes),
            None => Self::Text(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        let text = "#!/bin/sh\necho up\n".repeat(99);
        let packed = UserData::compressed(&text);
        assert_eq!(packed, UserData::compressed(&text));
        assert!(packed.as_bytes().len() < 100 && packed.as_text().is_none());
        let mut unpacked = String::new();
        let mut reader = flate2::read::GzDecoder::new(packed.as_bytes());
        reader.read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        for data in [packed, UserData::Text(text)] {
            let bytes = data.as_bytes().to_vec();
            assert_eq!(UserData::from_bytes(bytes).as_ref(), Some(&data));
            let form = serde_json::to_string(&data).unwrap();
            assert_eq!(serde_json::from_str::<UserData>(&form).unwrap(), data);
        }
        assert_eq!(UserData::from_bytes(vec![0xff, 0xfe]), None);
    }
}
