//! Conditions on instance types.

use serde::{Deserialize, Serialize};

use super::instance_type::InstanceType;
use crate::error::{Code, Error, Result};
use crate::types::{Architecture, Gbps};

/// The conditions for [`Catalog::find`](crate::Catalog::find): all that are set must hold, and the
/// default holds for every type.
///
/// Patterns have EC2's wildcards: `*` for any text, `?` for one character, `\` before a
/// wildcard that is meant literally.
///
/// ```
/// use efa_core::Catalog;
/// use efa_core::catalog::Query;
///
/// # fn main() -> efa_core::Result<()> {
/// let mut query = Query::default();
/// query.names = vec!["*7i*".to_owned(), "*8g*".to_owned(), "*7a*".to_owned()];
/// query.bare_metal = Some(false);
/// assert!(Catalog::bundled().find(&query)?.iter().all(|t| !t.bare_metal));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Query {
    /// Patterns for the name; any of them must match. Empty: every name.
    pub names: Vec<String>,
    /// The processor architecture.
    pub architecture: Option<Architecture>,
    /// A pattern for the name of a GPU, upper and lower case alike: `h100`, `*h?00*`.
    pub gpu_name: Option<String>,
    /// At least this many GPUs, of the kind that `gpu_name` asks for.
    pub minimum_gpus: Option<u32>,
    /// At least this many vCPUs.
    pub minimum_vcpus: Option<u32>,
    /// At least this much memory, in MiB.
    pub minimum_memory_mib: Option<u64>,
    /// At least this many EFA interfaces.
    pub minimum_efa_interfaces: Option<u32>,
    /// At least this much network bandwidth for the whole instance.
    pub minimum_network_bandwidth: Option<Gbps>,
    /// Whether a cluster placement group takes it.
    pub cluster_placement: Option<bool>,
    /// Whether it can be bought as a Capacity Block.
    pub capacity_block: Option<bool>,
    /// Whether it can be bought as spot.
    pub spot: Option<bool>,
    /// Whether it is bare metal.
    pub bare_metal: Option<bool>,
    /// An Availability Zone that offers it, such as `us-east-1a`. Needs a catalog with
    /// offerings, that is a live one.
    pub zone: Option<String>,
}

impl Query {
    pub(super) fn check(&self) -> Result<()> {
        let fields = [("gpu_name", &self.gpu_name), ("zone", &self.zone)];
        let texts = fields
            .into_iter()
            .filter_map(|(field, text)| Some((field, text.as_deref()?)));
        for (field, text) in texts.chain(self.names.iter().map(|name| ("names", name.as_str()))) {
            if text.trim().is_empty() {
                return Err(Error::new(
                    Code::CatalogInvalidQuery,
                    format!("{field} contains an empty string"),
                )
                .with_cure("leave it out, or use * for any")
                .with_context("field", field)
                .with_context("value", text));
            }
        }
        match &self.architecture {
            Some(Architecture::Other(word)) => check_architecture(word),
            _ => Ok(()),
        }
    }

    pub(super) fn matches(&self, t: &InstanceType) -> bool {
        let gpus: u32 = t
            .gpus
            .iter()
            .filter(|gpu| {
                self.gpu_name
                    .as_deref()
                    .is_none_or(|p| matches(&p.to_lowercase(), &gpu.name.to_lowercase()))
            })
            .map(|gpu| gpu.count)
            .sum();
        // EC2's names have no capitals.
        let named = |pattern: &String| matches(&pattern.to_lowercase(), &t.name);
        (self.names.is_empty() || self.names.iter().any(named))
            && self
                .architecture
                .as_ref()
                .is_none_or(|a| t.architectures.contains(a))
            && (self.gpu_name.is_none() || gpus > 0)
            && self.minimum_gpus.is_none_or(|minimum| gpus >= minimum)
            && self
                .minimum_vcpus
                .is_none_or(|minimum| t.default_vcpus >= minimum)
            && self
                .minimum_memory_mib
                .is_none_or(|minimum| t.memory_mib >= minimum)
            && self
                .minimum_efa_interfaces
                .is_none_or(|minimum| t.maximum_efa_interfaces >= minimum)
            && self
                .minimum_network_bandwidth
                .is_none_or(|minimum| t.network_bandwidth >= Some(minimum))
            && self
                .cluster_placement
                .is_none_or(|wanted| t.supports_cluster_placement() == wanted)
            && self
                .capacity_block
                .is_none_or(|wanted| t.supports_capacity_block() == wanted)
            && self.spot.is_none_or(|wanted| t.supports_spot() == wanted)
            && self.bare_metal.is_none_or(|wanted| t.bare_metal == wanted)
    }
}

/// Whether the whole text matches a pattern with EC2's wildcards. Linear in text × stars: on a
/// mismatch only the last `*` takes one more character.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    enum Token {
        Any,
        One,
        Literal(char),
    }
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Literal(chars.next().unwrap_or('\\')),
            c => Token::Literal(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut token, mut last_any) = (0, 0, None);
    while at < text.len() {
        match tokens.get(token) {
            Some(Token::Any) => {
                last_any = Some((token, at));
                token += 1;
            }
            Some(Token::One) => (at, token) = (at + 1, token + 1),
            Some(Token::Literal(c)) if *c == text[at] => (at, token) = (at + 1, token + 1),
            _ => {
                let Some((any, taken)) = last_any else {
                    return false;
                };
                last_any = Some((any, taken + 1));
                (at, token) = (taken + 1, any + 1);
            }
        }
    }
    tokens[token..]
        .iter()
        .all(|rest| matches!(rest, Token::Any))
}

/// Refuses words of others for EC2's architectures; what EC2 may add passes.
fn check_architecture(word: &str) -> Result<()> {
    let ec2s = match word.trim().to_lowercase().as_str() {
        "aarch64" | "arm" | "arm64" | "armv8" | "graviton" => "arm64",
        "amd64" | "x64" | "x86" | "x86-64" | "x86_64" | "intel" | "amd" => "x86_64",
        "" => "x86_64 or arm64",
        _ => return Ok(()),
    };
    let message = format!("architecture is '{word}', which EC2 does not use");
    Err(Error::new(Code::CatalogInvalidQuery, message)
        .with_cure(format!("write {ec2s}, as EC2 does"))
        .with_context("field", "architecture")
        .with_context("value", word)
        .with_context("limit", "x86_64 or arm64"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;
    use proptest::prelude::*;

    fn names(query: &Query) -> Vec<&'static str> {
        Catalog::bundled()
            .find(query)
            .unwrap()
            .iter()
            .map(|t| t.name.as_str())
            .collect()
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "p5.48xlarge", true),
            ("p5.*", "p5.48xlarge", true),
            ("p5.*", "p5e.48xlarge", false),
            ("p5?.*", "p5e.48xlarge", true),
            ("p5?.*", "p5.48xlarge", false),
            ("*7i*", "r7iz.32xlarge", true),
            ("*48*48*", "p5.48xlarge", false),
            ("p5.48xlarge", "p5.48xlarge", true),
            ("p5.48xlarg", "p5.48xlarge", false),
            ("*.metal", "c6in.metal", true),
            ("*.metal", "c8g.metal-48xl", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            (r"a\", r"a\", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    /// The query of the community's recipe: every type that its own output lists is found.
    #[test]
    fn the_recipe_of_several_patterns() {
        let query = Query {
            names: ["*7i*", "*8g*", "*7a*"].map(str::to_owned).to_vec(),
            ..Query::default()
        };
        let found = names(&query);
        for name in [
            "r7i.metal-48xl",
            "u7i-6tb.112xlarge",
            "m8g.24xlarge",
            "u7in-16tb.224xlarge",
            "i8g.48xlarge",
        ] {
            assert!(found.contains(&name), "{name}");
        }
        assert!(
            found
                .iter()
                .all(|n| n.contains("7i") || n.contains("8g") || n.contains("7a"))
        );
    }

    #[test]
    fn each_condition_alone() {
        let base = Query::default();
        let of = |query: Query| names(&query);
        let p = |gpu: &str, minimum| Query {
            gpu_name: Some(gpu.to_owned()),
            minimum_gpus: minimum,
            ..Query::default()
        };
        assert_eq!(of(base.clone()).len(), Catalog::bundled().len());
        assert_eq!(of(p("H100", None)), ["p5.4xlarge", "p5.48xlarge"]);
        assert_eq!(of(p("h100", Some(2))), ["p5.48xlarge"]);
        assert_eq!(
            of(p("b?00", None)),
            ["p6-b200.48xlarge", "p6-b300.48xlarge", "p6e-gb200.36xlarge"]
        );
        assert_eq!(
            of(Query {
                minimum_vcpus: Some(1900),
                ..base.clone()
            }),
            ["u7inh-32tb.480xlarge"]
        );
        assert_eq!(
            of(Query {
                minimum_memory_mib: Some(32 * 1024 * 1024),
                ..base.clone()
            }),
            ["u7in-32tb.224xlarge", "u7inh-32tb.480xlarge"]
        );
        assert_eq!(
            of(Query {
                minimum_efa_interfaces: Some(17),
                ..base.clone()
            }),
            ["p5.48xlarge", "p5e.48xlarge"]
        );
        assert_eq!(
            of(Query {
                minimum_network_bandwidth: Gbps::new(3200.1),
                ..base.clone()
            }),
            ["p6-b300.48xlarge"]
        );
        assert_eq!(
            of(Query {
                cluster_placement: Some(false),
                ..base.clone()
            }),
            ["vt1.24xlarge"]
        );
        assert_eq!(
            of(Query {
                capacity_block: Some(true),
                ..base.clone()
            })
            .len(),
            13
        );
        assert_eq!(
            of(Query {
                spot: Some(false),
                ..base.clone()
            })
            .len(),
            19
        );
        assert_eq!(
            of(Query {
                bare_metal: Some(true),
                ..base.clone()
            })
            .len(),
            115
        );
        assert_eq!(
            of(Query {
                architecture: Some(Architecture::Arm64),
                ..base
            })
            .len(),
            95
        );
    }

    #[test]
    fn empty_texts_are_refused() {
        for query in [
            Query {
                names: vec!["p5*".to_owned(), String::new()],
                ..Query::default()
            },
            Query {
                gpu_name: Some(" ".to_owned()),
                ..Query::default()
            },
            Query {
                zone: Some(String::new()),
                ..Query::default()
            },
        ] {
            let error = Catalog::bundled().find(&query).unwrap_err();
            assert_eq!(error.code(), Code::CatalogInvalidQuery);
        }
    }

    proptest! {
        #[test]
        fn literal_patterns_match_only_themselves(a in "[a-c.]{0,5}", b in "[a-c.]{0,5}") {
            prop_assert_eq!(matches(&a, &b), a == b);
        }

        #[test]
        fn replacing_a_part_by_a_star_keeps_the_match(text in "[a-c]{0,8}", from in 0usize..9, to in 0usize..9) {
            let (from, to) = (from.min(text.len()), to.min(text.len()));
            let (from, to) = (from.min(to), from.max(to));
            let pattern = format!("{}*{}", &text[..from], &text[to..]);
            prop_assert!(matches(&pattern, &text));
            let starred: String = text.chars().flat_map(|c| ['*', c, '*']).collect();
            prop_assert!(matches(&starred, &text));
        }
    }
}
