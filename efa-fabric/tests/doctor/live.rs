//! This machine, with real libraries in a child process.

use super::*;

/// Started by [`asking`]: answers and ends; for the tests themselves it does nothing.
#[test]
fn child_entry() {
    answer_if_child();
}

fn asking(library: Option<&Path>) -> doctor::Options {
    let mut options = doctor::Options::live();
    options.child = Some(ChildCommand::new(
        std::env::current_exe().unwrap(),
        ["live::child_entry", "--exact", "--nocapture"],
    ));
    options.library = library.map(Path::to_path_buf);
    options
}

fn second(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("EFA_TEST_LIBFABRIC_2").map(PathBuf::from);
    if path.is_none() {
        eprintln!("SKIPPED {test} on libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set");
    }
    path
}

fn machine_has_efa(test: &str) -> bool {
    let has = !Node::read(&NodeRoot::new("/")).pci_efa.is_empty();
    if has {
        eprintln!("SKIPPED {test}: this machine has EFA");
    }
    has
}

#[test]
fn this_machine_has_no_efa_and_libfabric_says_so() {
    let test = "this_machine_has_no_efa_and_libfabric_says_so";
    if machine_has_efa(test) {
        return;
    }
    for library in [None, second(test)] {
        let report = doctor::examine(&asking(library.as_deref()));
        match &report.verdict {
            Verdict::NotUsable { cause } => assert_eq!(cause, "pci.devices", "{report}"),
            verdict => assert!(matches!(verdict, Verdict::NoEfaByDesign { .. }), "{report}"),
        }
        assert_eq!(report.exit_code(), 1);
        if let Some(path) = &library {
            let seen = report.libfabric.as_ref().unwrap();
            assert_eq!(
                Path::new(&seen.path),
                path.canonicalize().unwrap(),
                "{report}"
            );
            assert!(seen.version.major >= 2);
            let listed = report.finding("libfabric.efa_provider").unwrap();
            assert_eq!(listed.status, Status::Ok, "{report}");
        }
        assert_eq!(
            report.finding("libfabric.hints").unwrap().status,
            Status::NotApplicable
        );
    }
}

#[test]
fn a_killer_ends_the_child_and_not_the_caller() {
    let test = "a_killer_ends_the_child_and_not_the_caller";
    let Some(library) = second(test) else { return };
    for (name, value) in [("FI_EFA_MTU_SIZE", "4096"), ("FI_EFA_TX_IOV_LIMIT", "")] {
        let mut options = asking(Some(&library));
        options.environment.insert(name.into(), value.into());
        let report = doctor::examine(&options);
        let finding = report.finding("environment.killer").unwrap();
        assert_eq!(finding.status, Status::Failed, "{report}");
        let evidence: Vec<_> = finding.evidence.iter().map(|e| e.value.as_str()).collect();
        assert_eq!(
            evidence[..2],
            [format!("'{value}'").as_str(), "ended by SIGABRT"]
        );
        assert!(evidence[2].contains(name), "{evidence:?}");
        assert_eq!(
            report.finding("libfabric.crash").unwrap().status,
            Status::NotApplicable
        );
        assert_eq!(report.exit_code(), 1);
    }
}

#[test]
fn the_environment_given_is_the_childs() {
    let test = "the_environment_given_is_the_childs";
    let Some(library) = second(test) else { return };
    let mut options = asking(Some(&library));
    options
        .environment
        .insert("FI_PROVIDER".into(), "efaa".into());
    let report = doctor::examine(&options);
    let finding = report.finding("environment.fi_provider").unwrap();
    assert!(finding.title.contains("misspelled"), "{report}");
    assert!(
        finding
            .evidence
            .iter()
            .any(|e| e.source == "libfabric's log"),
        "{report}"
    );
}

#[test]
fn a_child_that_cannot_be_started_leaves_the_verdict_to_the_files() {
    let mut options = asking(None);
    options.child = Some(ChildCommand::new("/no/such/program", [] as [&str; 0]));
    let report = doctor::examine(&options);
    assert!(report.libfabric.is_none());
    assert_eq!(
        report.finding("libfabric.found").unwrap().status,
        Status::Unknown
    );
}
