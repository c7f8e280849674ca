//! What is learned of libraries that answer.

use efa_fabric::fabric_log::FingerprintKind;
use efa_fabric::isolated::{Answer, HintSet, Outcome, Question, Relaxation, ask};
use efa_fabric::library::Version;
use efa_fabric::{Code, Library};

use crate::support::{
    about, answer, child, count, has_verbs_devices, provider_names, second, system, with,
};

#[test]
fn a_library_answers() {
    const TEST: &str = "a_library_answers";
    for library in system(TEST).into_iter().chain(second(TEST)) {
        let mut question = with(about(&library), &[("FI_LOG_LEVEL", Some("warn"))]);
        question.provider = "tcp".to_owned();
        let answer = answer(&question);
        assert_eq!(answer.outcome, Outcome::Answered, "{answer:?}");
        let loaded = answer.library.as_ref().unwrap();
        assert_eq!(loaded.path, library);
        assert_eq!(loaded.version, Library::load(&library).unwrap().version());
        assert!(loaded.requested_api <= loaded.version);
        assert_eq!(answer.mapped_libraries, std::slice::from_ref(&library));
        assert!(provider_names(&answer).contains(&"tcp"));
        assert_eq!(answer.has_provider("TCP"), Some(true));
        assert!(answer.infos.as_ref().unwrap().len() >= 2);
        let infos = answer.efa_infos.as_ref().unwrap();
        assert!(!infos.is_empty());
        assert!(infos.iter().all(|info| info.provider.starts_with("tcp")));
        assert_eq!(answer.efa_errno, None);
        assert_eq!(answer.trials[0].relaxed, Relaxation::Nothing);
        assert!(
            answer.trials.iter().all(|trial| trial.found > 0),
            "{answer:?}"
        );
        assert_eq!(answer.first_help(), None);
        assert!(answer.log.has_info && answer.log.lines > 100);
        assert!(
            answer
                .log
                .registered
                .iter()
                .any(|name| name.starts_with("tcp ("))
        );
        assert_eq!(answer.user_log_level.as_deref(), Some("warn"));
        let json = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&json).unwrap(), answer);
    }
}

#[test]
fn without_hardware_efa_is_absent_in_the_way_of_the_version() {
    const TEST: &str = "without_hardware_efa_is_absent_in_the_way_of_the_version";
    if has_verbs_devices(TEST) {
        return;
    }
    if let Some(library) = system(TEST) {
        let answer = answer(&about(&library));
        assert_eq!(answer.outcome, Outcome::Answered);
        assert_eq!(answer.efa_errno, Some(libc::ENODATA));
        assert_eq!(answer.efa_infos.as_deref(), Some(&[][..]));
        if answer.library.unwrap().version < (Version { major: 2, minor: 1 }) {
            assert!(!answer.log.has(FingerprintKind::EmptyList));
            assert!(!answer.log.has(FingerprintKind::NoVerbsDevices));
        }
    }
    if let Some(library) = second(TEST) {
        // Filters that would keep the log from us do not.
        let question = with(
            about(&library),
            &[
                ("FI_LOG_PROV", Some("tcp")),
                ("FI_LOG_SUBSYS", Some("cq")),
                ("FI_LOG_LOCATION", Some("/nowhere")),
            ],
        );
        let answer = answer(&question);
        assert_eq!(answer.has_provider("efa"), Some(true));
        assert_eq!(answer.efa_errno, Some(libc::ENODATA));
        let empty = answer.log.first(FingerprintKind::EmptyList).unwrap();
        assert_eq!(empty.subject.as_deref(), Some("efa"));
        assert!(empty.evidence.starts_with("libfabric:"), "{empty}");
        assert!(
            answer.log.has(FingerprintKind::NoVerbsDevices),
            "{}",
            answer.log
        );
        assert_eq!(answer.first_help(), None);
        assert!(answer.trials.len() >= 5);
    }
}

#[test]
fn filters_of_providers_show() {
    const TEST: &str = "filters_of_providers_show";
    for library in system(TEST).into_iter().chain(second(TEST)) {
        let typo = answer(&with(about(&library), &[("FI_PROVIDER", Some("efaa"))]));
        let unknown = typo.log.first(FingerprintKind::UnknownProvider).unwrap();
        assert_eq!(unknown.subject.as_deref(), Some("efaa"));
        assert_eq!(typo.infos.as_deref(), Some(&[][..]));

        let only_tcp = answer(&with(about(&library), &[("FI_PROVIDER", Some("tcp"))]));
        assert!(!only_tcp.log.has(FingerprintKind::UnknownProvider));
        let filtered: Vec<_> = only_tcp
            .log
            .fingerprints
            .iter()
            .filter(|found| found.kind == FingerprintKind::FilteredProvider)
            .filter_map(|found| found.subject.as_deref())
            .collect();
        assert!(
            filtered.contains(&"udp") && !filtered.contains(&"tcp"),
            "{filtered:?}"
        );
        assert!(
            provider_names(&only_tcp).contains(&"udp"),
            "filtered ones are listed"
        );
        let infos = only_tcp.infos.as_ref().unwrap();
        assert!(
            infos.iter().all(|info| info.provider.starts_with("tcp")),
            "{infos:?}"
        );
        if Some(&library) == second(TEST).as_ref() {
            assert!(filtered.contains(&"efa"));
            assert_eq!(only_tcp.has_provider("efa"), Some(true));
        }
    }
}

#[test]
fn a_hint_that_stands_in_the_way_is_found() {
    const TEST: &str = "a_hint_that_stands_in_the_way_is_found";
    type Case = (&'static str, fn(&mut HintSet), Relaxation, i32);
    let multicast = || "FI_MULTICAST".to_owned();
    let cases: [Case; 5] = [
        (
            "tcp",
            |hints| hints.capabilities.push("FI_MULTICAST".into()),
            Relaxation::Capability(multicast()),
            libc::ENODATA,
        ),
        (
            "tcp",
            |hints| hints.address_format = Some("FI_ADDR_EFA".into()),
            Relaxation::AddressFormat,
            libc::ENODATA,
        ),
        (
            "udp",
            |hints| {
                hints.endpoint_type = Some("FI_EP_DGRAM".into());
                hints.max_message_size = Some(1 << 30);
            },
            Relaxation::MaxMessageSize,
            libc::ENODATA,
        ),
        (
            "tcp",
            |hints| hints.api_version = Some(Version { major: 9, minor: 0 }),
            Relaxation::ApiVersion,
            libc::ENOSYS,
        ),
        (
            "tcp",
            |hints| hints.endpoint_type = Some("FI_EP_DGRAM".into()),
            Relaxation::EndpointType,
            libc::ENODATA,
        ),
    ];
    // tcp of 1.17 does not look at these names.
    let names: [Case; 2] = [
        (
            "tcp",
            |hints| hints.fabric = Some("nowhere".into()),
            Relaxation::Fabric,
            libc::ENODATA,
        ),
        (
            "tcp",
            |hints| hints.domain = Some("none-rdm".into()),
            Relaxation::Domain,
            libc::ENODATA,
        ),
    ];
    for library in system(TEST).into_iter().chain(second(TEST)) {
        let is_2 = Library::load(&library).unwrap().version().major >= 2;
        let names = names.iter().filter(|_| is_2);
        for (provider, change, relaxed, errno) in cases.iter().chain(names) {
            let mut question = about(&library);
            question.provider = (*provider).to_owned();
            change(&mut question.hints);
            let answer = answer(&question);
            let as_asked = count(&answer, &Relaxation::Nothing);
            assert_eq!(as_asked, (0, Some(*errno)), "{relaxed:?}");
            assert!(count(&answer, relaxed).0 > 0, "{relaxed:?}: {answer:?}");
            // udp has another endpoint type, with a layer above it, that sends more.
            let is_first = *provider == "tcp";
            assert!(!is_first || answer.first_help().unwrap().relaxed == *relaxed);
            assert!(count(&answer, &Relaxation::All).0 > 0);
        }
    }
}

#[test]
fn what_trials_log_stays_with_the_trial() {
    const TEST: &str = "what_trials_log_stays_with_the_trial";
    let Some(library) = second(TEST) else { return };
    let mut question = about(&library);
    question.hints.endpoint_type = Some("FI_EP_MSG".into());
    let answer = answer(&question);
    let has = |relaxed: &Relaxation| {
        let trial = answer.trials.iter().find(|trial| trial.relaxed == *relaxed);
        trial.unwrap().fingerprints.iter().any(|found| {
            found.kind == FingerprintKind::UnsupportedEndpointType && found.number == Some(1)
        })
    };
    assert!(has(&Relaxation::Nothing));
    assert!(has(&Relaxation::Mode));
    assert!(!has(&Relaxation::EndpointType));
    let of_efa = answer.log.fingerprints.iter().find(|found| {
        found.kind == FingerprintKind::UnsupportedEndpointType
            && found.subject.as_deref() == Some("efa")
    });
    assert_eq!(of_efa, None);
    assert!(answer.trials[0].asked.contains("FI_EP_MSG"));
}

#[test]
fn unknown_names_are_refused() {
    for change in [
        (|q| q.hints.capabilities = vec!["FI_FLY".into()]) as fn(&mut Question),
        |q| q.hints.endpoint_type = Some("rdm".into()),
        |q| q.hints.mr_mode = vec!["LOCAL".into()],
        |q| q.hints.mode = vec![String::new()],
        |q| q.hints.address_format = Some("EFA".into()),
        |q| q.hints.fabric = Some("a\0b".into()),
        |q| q.provider = "a\0b".into(),
        |q| q.provider = "e".repeat(100_000),
        |q| drop(q.environment.insert("A=B".into(), None)),
        |q| drop(q.environment.insert("A".into(), Some("a\0b".into()))),
    ] {
        let mut question = Question::default();
        change(&mut question);
        let error = ask(&child(), &question).unwrap_err();
        assert_eq!(error.code(), Code::InvalidOption, "{question:?}");
    }
}
