//! The user data of the instances as it is sent: compressed where EC2 would not take it otherwise.

use super::multipart;
use crate::error::{Error, Result};
use crate::launch::UserData;
use crate::types::USER_DATA_LIMIT_BYTES;

/// User data as a text, and as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Rendered {
    pub(super) text: String,
    pub(super) sent: UserData,
}

/// This text as it is sent.
///
/// # Errors
/// `plan.invalid_spec` for what is larger than EC2 takes, compressed or not, and for what cannot be
/// compressed.
pub(super) fn render(text: String, compress: bool) -> Result<Rendered> {
    let fits = |size: usize| size <= USER_DATA_LIMIT_BYTES;
    if fits(text.len()) && !compress {
        let sent = UserData::Text(text.clone());
        return Ok(Rendered { text, sent });
    }
    if !multipart::is_for_cloud_init(&text) {
        let (field, value) = if compress {
            ("compress_user_data", "true".to_owned())
        } else {
            ("user_data", format!("{} bytes", text.len()))
        };
        return Err(Error::invalid_spec(
            field,
            value,
            format_args!(
                "{USER_DATA_LIMIT_BYTES} bytes before encoding, and more only for cloud-init, \
                 which unpacks what is compressed"
            ),
            "begin it with a line that declares its kind (#!…, #cloud-config), or fetch it from \
             S3 in a short script",
        ));
    }
    let sent = UserData::compressed(&text);
    let size = sent.as_bytes().len();
    if !fits(size) {
        return Err(Error::invalid_spec(
            "user_data",
            format_args!("{} bytes, {size} compressed", text.len()),
            format_args!(
                "{USER_DATA_LIMIT_BYTES} bytes compressed, before encoding, a bootstrap's script \
                 included"
            ),
            "put the script in S3 and fetch it from a short one",
        ));
    }
    Ok(Rendered { text, sent })
}
