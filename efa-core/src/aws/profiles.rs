//! Which profiles the AWS CLI's files define: for the cure of one that gives no credentials.

use std::path::PathBuf;
use std::{env, fs};

use crate::text::did_you_mean;

/// A profile of the AWS CLI's files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Profile {
    name: String,
    /// Whether it signs in through IAM Identity Center.
    sso: bool,
}

/// What to do about the profile of this name, which gave no credentials for this reason.
pub(super) fn cure(name: &str, why: &str) -> String {
    let mut known = read("AWS_CONFIG_FILE", "config");
    known.extend(read("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
    cure_among(name, why, &known)
}

/// Whether the environment names a profile, and which.
pub(super) fn of_environment() -> Option<String> {
    env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty())
}

fn cure_among(name: &str, why: &str, known: &[Profile]) -> String {
    let Some(profile) = known.iter().find(|profile| profile.name == name) else {
        let mut names: Vec<&str> = known.iter().map(|p| p.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let or = match names.as_slice() {
            [] => "no profile is defined there".to_owned(),
            names => format!("defined are {}", names.join(", ")),
        };
        let near = did_you_mean(name, names, &or);
        return format!("the AWS CLI's files do not define it: {near}");
    };
    if profile.sso {
        return format!("sign in: aws sso login --profile {name}");
    }
    if why.contains("source_profile") || why.contains("source profile") {
        return format!("correct what source_profile names in profile '{name}'");
    }
    format!("give it keys (aws configure --profile {name}), a role or a sign-in, or choose another")
}

/// The profiles of one of the files: where this variable states, or in the folder of the CLI.
fn read(variable: &str, file: &str) -> Vec<Profile> {
    let path = env::var_os(variable).map(PathBuf::from);
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".aws").join(file));
    let text = path.or_else(home).and_then(|p| fs::read_to_string(p).ok());
    text.map_or_else(Vec::new, |text| parse(&text))
}

fn parse(text: &str) -> Vec<Profile> {
    let mut profiles: Vec<Profile> = Vec::new();
    let mut in_profile = false;
    for line in text.lines() {
        if let Some(section) = line.trim().strip_prefix('[') {
            let title = section.split(']').next().unwrap_or_default().trim();
            let name = match title.split_once(char::is_whitespace) {
                Some(("profile", name)) => Some(name.trim()),
                Some(_) => None, // sso-session, services
                None => Some(title),
            };
            in_profile = name.is_some();
            profiles.extend(name.map(|name| Profile {
                name: name.trim_matches('"').to_owned(),
                sso: false,
            }));
        } else if in_profile
            && line.starts_with("sso_")
            && let Some(profile) = profiles.last_mut()
        {
            profile.sso = true;
        }
    }
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
[default]
region = us-east-1
[profile train]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = gone
[sso-session company]
sso_region = us-east-1
[profile night]
sso_session = company
";

    #[test]
    fn profiles_are_read_and_other_sections_are_none() {
        let names: Vec<(String, bool)> =
            parse(CONFIG).into_iter().map(|p| (p.name, p.sso)).collect();
        let expected = [("default", false), ("train", false), ("night", true)];
        assert_eq!(names, expected.map(|(name, sso)| (name.to_owned(), sso)));
        assert_eq!(parse("no section\nsso_x = 1\n"), []);
    }

    #[test]
    fn each_cause_has_its_cure() {
        let known = parse(CONFIG);
        for (name, why, said) in [
            (
                "trian",
                "",
                "the AWS CLI's files do not define it: did you mean train?",
            ),
            (
                "",
                "",
                "do not define it: defined are default, night, train",
            ),
            ("night", "", "aws sso login --profile night"),
            (
                "train",
                "could not find source profile gone",
                "source_profile names in profile 'train'",
            ),
            ("default", "", "aws configure --profile default"),
        ] {
            let cure = cure_among(name, why, &known);
            assert!(cure.contains(said), "{cure}");
        }
        let cure = cure_among("train", "", &[]);
        assert!(cure.ends_with("no profile is defined there"), "{cure}");
    }
}
