//! User data of several parts, as cloud-init takes it: a MIME message. Origin: cloud-init's
//! documentation, "User data formats", whose first line of a text names its kind.

use std::fmt::Write as _;

use base64::Engine as _;

use crate::error::{Error, Result};

/// The caller's user data, then the bootstrap's script, which may reboot.
///
/// # Errors
/// `plan.invalid_spec` for user data whose first line does not state its kind.
pub(super) fn with_bootstrap(user_data: &str, bootstrap: &str) -> Result<String> {
    let Some(kind) = kind(user_data) else {
        let first = user_data.lines().next().unwrap_or_default();
        return Err(Error::invalid_spec(
            "user_data",
            first.chars().take(60).collect::<String>(),
            "a script (#!…) or #cloud-config, #cloud-boothook or #include together with a \
             bootstrap",
            "begin it with one of these lines, or put your commands into the bootstrap's extra_script",
        ));
    };
    let parts = [
        ("user-data", kind, user_data),
        ("efa-sdk-bootstrap.sh", SCRIPT, bootstrap),
    ];
    let mut boundary = "efa-sdk-part".to_owned();
    while parts.iter().any(|(_, _, text)| text.contains(&boundary)) {
        boundary.push('-');
    }
    let mut message =
        format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n");
    for (name, kind, text) in parts {
        // Python's email package, which cloud-init reads this with, mangles other text without.
        let (encoding, body) = if text.is_ascii() {
            ("7bit", text.to_owned())
        } else {
            let encoded = base64::engine::general_purpose::STANDARD.encode(text);
            ("base64", encoded)
        };
        // Writing to a String cannot fail.
        let _ = write!(
            message,
            "--{boundary}\nContent-Type: {kind}; charset=\"utf-8\"\n\
             Content-Transfer-Encoding: {encoding}\n\
             Content-Disposition: attachment; filename=\"{name}\"\n\n{body}\n"
        );
    }
    let _ = writeln!(message, "--{boundary}--");
    Ok(message)
}

/// Whether cloud-init can report what a text is: by its first line, or since it is a message.
pub(super) fn is_for_cloud_init(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default().to_ascii_lowercase();
    let headers = [
        "content-type:",
        "mime-version:",
        "from ",
        "## template: jinja",
        "#part-handler",
    ];
    kind(text).is_some() || headers.iter().any(|header| first.starts_with(header))
}

const SCRIPT: &str = "text/x-shellscript";

/// The kind of a text by its first line.
fn kind(user_data: &str) -> Option<&'static str> {
    let kinds = [
        ("#!", SCRIPT),
        ("#cloud-config", "text/cloud-config"),
        ("#cloud-boothook", "text/cloud-boothook"),
        ("#include", "text/x-include-url"),
    ];
    let found = kinds.iter().find(|(first, _)| user_data.starts_with(first));
    found.map(|(_, kind)| *kind)
}
