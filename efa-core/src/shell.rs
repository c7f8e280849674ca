//! Quoting for the shell: the only way by which a value gets into a script.

/// Returns one shell word that stands for exactly this value; `None` for a value with a NUL
/// character, which the shell cannot hold.
///
/// # Examples
/// ```
/// assert_eq!(efa_core::shell::quote("it's").as_deref(), Some(r"'it'\''s'"));
/// ```
#[must_use]
pub fn quote(value: &str) -> Option<String> {
    (!value.contains('\0')).then(|| format!("'{}'", value.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn said_by_bash(script: &str) -> Vec<u8> {
        let output = Command::new("bash").args(["-c", script]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        output.stdout
    }

    /// Strings that a shell would act on, more often than not.
    fn shell_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[^\0]{0,8}",
            prop::sample::select(vec![
                "'",
                "\"",
                "\\",
                "\n",
                "\r\n",
                "$(false)",
                "`false`",
                "${x}",
                "!",
                "'; exit 9; '",
                "\\'",
                "EOF\n",
                "#",
                "*",
                "\u{1b}[2J",
                "ü",
                "\u{2028}",
            ])
            .prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn bash_reads_back_what_was_quoted(value in shell_text()) {
            let word = quote(&value).unwrap();
            let script = format!("x={word}\nprintf %s \"$x\"");
            prop_assert_eq!(said_by_bash(&script), value.as_bytes());
        }
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(quote("a\0b"), None);
    }
}
