//! Starts the EC2 stand-in (`python -m efa_sdk.testing`) as a child process.

use std::io::{BufRead, BufReader, Error, Result};
use std::process::{Child, Command, Stdio};

/// A running stand-in; it ends when this is dropped.
pub(crate) struct StandIn {
    child: Child,
    /// Where it answers, such as `http://127.0.0.1:33915`.
    pub(crate) endpoint_url: String,
}

impl StandIn {
    /// Starts one on a free loopback port, with the Python that `EFA_TEST_PYTHON` names, else
    /// `python3`; that Python must have efa_sdk with its extra `testing`.
    pub(crate) fn start() -> Result<Self> {
        let python = std::env::var("EFA_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut child = Command::new(python)
            .args(["-m", "efa_sdk.testing"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        match url.map(str::to_owned) {
            Some(endpoint_url) => Ok(Self {
                child,
                endpoint_url,
            }),
            None => {
                let _ = child.kill();
                Err(Error::other(format!(
                    "the stand-in did not start: {line:?}"
                )))
            }
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
