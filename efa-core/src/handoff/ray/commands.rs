//! What Ray runs on its nodes by SSH, each command in a login shell of its own, until one fails.

use super::options::RayClusterOptions;
use crate::error::Result;
use crate::handoff::document::Node;
use crate::plan::Plan;
use crate::shell::quote;
use crate::spec::Bootstrap;

/// A virtual environment, as Amazon Linux 2023's own Python is older than Ray and efa-sdk take,
/// and Ubuntu's refuses pip. Ray sources `~/.bashrc` before each command.
const PYTHON: &str = r#"set -e
if command -v dnf > /dev/null; then
  python=python3.11
  sudo dnf install -y python3.11 python3.11-pip
else
  python=python3
  sudo apt-get -o DPkg::Lock::Timeout=600 update
  sudo apt-get -o DPkg::Lock::Timeout=600 install -y python3-venv
fi
[ -x ~/ray-env/bin/python ] || "$python" -m venv ~/ray-env
path='export PATH="$HOME/ray-env/bin:$PATH"'
grep -qxF "$path" ~/.bashrc || echo "$path" >> ~/.bashrc"#;

const PIP: &str = "python -m pip install";

/// In the shell that runs it: Ray wraps a command in a subshell, whose id `$$` is not.
const UNLIMITED_MEMLOCK: &str = "sudo prlimit --pid $BASHPID --memlock=unlimited:unlimited";

/// `setup_commands`, which workers of the EFA type replace by their own.
pub(super) fn every_node(options: &RayClusterOptions) -> Vec<Node> {
    let mut packages = vec![
        format!("ray[default]=={}", options.ray_version),
        "boto3".to_owned(),
    ];
    packages.extend(options.python_packages.iter().cloned());
    vec![PYTHON.into(), install(&packages).into()]
}

/// The EFA workers' whole setup.
pub(super) fn worker(plan: &Plan, options: &RayClusterOptions) -> Result<Vec<Node>> {
    let default = Bootstrap::default();
    let bootstrap = plan.spec().bootstrap.as_ref().unwrap_or(&default);
    let script = bootstrap.user_data(plan.name())?;
    let install_efa_sdk = match options.wheel() {
        // The shell is to expand the tilde, and nothing after it.
        Some((remote, _)) => format!("{PIP} ~/{}", quoted(remote.trim_start_matches("~/"))),
        None => install(&options.source()?),
    };
    let mut commands = every_node(options);
    commands.push(run_as_root(&script).into());
    commands.push(install_efa_sdk.into());
    let doctor = format!("{UNLIMITED_MEMLOCK} && python -m efa_sdk.doctor --wait");
    commands.push(doctor.into());
    Ok(commands)
}

/// `worker_start_ray_commands`: Ray's own, with locked memory.
pub(super) fn start_worker() -> Vec<Node> {
    let start = format!(
        "{UNLIMITED_MEMLOCK} && ulimit -n 65536; \
         ray start --address=$RAY_HEAD_IP:6379 --object-manager-port=8076"
    );
    vec!["ray stop".into(), start.into()]
}

fn install(packages: &[String]) -> String {
    let packages: Vec<String> = packages.iter().map(|package| quoted(package)).collect();
    format!("{PIP} {}", packages.join(" "))
}

/// One word of a command; `RayClusterOptions::validate` has refused what no shell can hold.
fn quoted(text: &str) -> String {
    quote(text).unwrap_or_default()
}

/// A command that puts a script in a file and runs it as root: it copies itself where it needs a
/// reboot.
fn run_as_root(script: &str) -> String {
    let mut end = "END_OF_BOOTSTRAP".to_owned();
    while script.contains(&end) {
        end.push('_');
    }
    let script = script.trim_end_matches('\n');
    format!(
        "cat > ~/efa-sdk-bootstrap.sh <<'{end}'\n{script}\n{end}\nsudo bash ~/efa-sdk-bootstrap.sh"
    )
}
