//! Several processes: devices, disagreement, interleaving.

use super::super::*;
use super::{causes, log, read, reason};

#[test]
fn devices_and_gpudirect_are_held_against_what_is_expected() {
    use Cause as C;
    let with = |text: &str, expectation| {
        let report = Report::of_text(text, expectation);
        (causes(&report), report.verdict, report.to_string())
    };
    let any = Expectation::new;
    assert_eq!(with(log("1.7"), any().nics(32)).0, []);
    let (found, verdict, text) = with(log("1.13"), any().nics(32));
    assert_eq!(
        (found, verdict),
        (vec![C::NicsMissing], Verdict::OnEfaDegraded)
    );
    assert!(text.contains("devices    16 of 32 expected"), "{text}");
    assert!(
        text.contains("the plugin found 16 EFA devices, 32 are expected"),
        "{text}"
    );
    let (found, verdict, _) = with(log("1.13"), any().nics(8));
    assert_eq!((found, verdict), (vec![C::NicsUnexpected], Verdict::OnEfa));

    let staged = log("1.16").replace("/GDRDMA", "");
    assert_eq!(with(&staged, any()).0, [C::GpudirectMissing]);
    assert_eq!(
        with(&staged, any().gpudirect(true)).0,
        [C::GpudirectMissing]
    );
    assert_eq!(with(&staged, any().gpudirect(false)).0, []);
    let partly = format!(
        "{}gpu-1:40:99 [0] NCCL INFO Channel 07/0 : 8[0] -> 0[0] [receive] via NET/Libfabric/3\n",
        log("1.16")
    );
    let report = read(&partly);
    assert_eq!(causes(&report), [C::GpudirectPartial]);
    assert_eq!(report.channels.gpudirect_channels.to_vec(), [0]);
    assert_eq!(report.channels.staged_channels.to_vec(), [7]);
    assert_eq!(report.channels.devices.to_vec(), [0, 3]);
    assert_eq!(report.findings[0].ranks, ["rank 0 (gpu-1:40)"]);
}

#[test]
fn the_instance_type_decides_what_is_expected() {
    let staged = log("1.16").replace("/GDRDMA", "");
    let of = |text: &str, name: &str| {
        let expectation = Expectation::of_instance_type(name).unwrap();
        let report = Report::of_text(text, expectation);
        (report.verdict, causes(&report))
    };
    use Cause as C;
    assert_eq!(
        of(&staged, "p5en.48xlarge"),
        (Verdict::OnEfaDegraded, vec![C::GpudirectMissing])
    );
    let g5 = staged.replace("found 16 nics", "found 1 nics");
    assert_eq!(of(&g5, "g5.48xlarge"), (Verdict::OnEfa, vec![]));
    assert_eq!(
        of(log("1.16"), "p7.48xlarge"),
        (Verdict::OnEfa, vec![C::TypeUnknown])
    );
    // The plugin reports that it does without: a warning where the type has it, nothing where it has
    // not, and a note where the type is not given.
    let says = super::cases::case("ac_g5_nogdr_healthy");
    assert_eq!(of(says, "g5.48xlarge"), (Verdict::OnEfa, vec![]));
    let (verdict, found) = of(says, "p5.48xlarge");
    assert_eq!(verdict, Verdict::OnEfaDegraded);
    assert!(found.contains(&C::GpudirectMissing), "{found:?}");
    assert_eq!(causes(&read(says)), [C::GpudirectNotOffered]);
}

#[test]
fn ranks_that_disagree_are_found() {
    let one = |host: &str, provider: &str, version: &str| {
        format!(
            "{host}:1:1 [0] NCCL INFO NET/OFI Initializing aws-ofi-nccl {version}\n\
             {host}:1:1 [0] NCCL INFO NET/OFI Selected provider is {provider}\n\
             {host}:1:1 [0] NCCL INFO Using network Libfabric\n"
        )
    };
    let good = "efa, fabric is efa-direct (found 16 nics)";
    let three = |last: &str, version: &str| {
        let text = format!(
            "{}{}{}",
            one("a", good, "1.16.0"),
            one("b", good, "1.16.0"),
            one("c", last, version)
        );
        let report = read(&text);
        let shown: Vec<_> = report
            .findings
            .iter()
            .filter(|f| f.cause == Cause::RanksDisagree)
            .map(|f| (f.message.clone(), f.ranks.clone()))
            .collect();
        (report.verdict, shown)
    };
    assert_eq!(three(good, "1.16.0"), (Verdict::OnEfa, vec![]));
    let c = vec!["c:1".to_owned()];
    assert_eq!(
        three("efa, fabric is efa (found 16 nics)", "1.16.0"),
        (
            Verdict::OnEfaDegraded,
            vec![(
                "the fabric differs: efa-direct on 2 ranks, efa on c:1".into(),
                c.clone()
            )]
        )
    );
    assert_eq!(
        three("efa, fabric is efa-direct (found 15 nics)", "1.16.0").1,
        [(
            "the number of devices differs: 16 on 2 ranks, 15 on c:1".to_owned(),
            c.clone()
        )]
    );
    assert_eq!(
        three(good, "1.14.0").1,
        [(
            "the version of aws-ofi-nccl differs: 1.16.0 on 2 ranks, 1.14.0 on c:1".to_owned(),
            c
        )]
    );
    // One rank on sockets.
    let text = format!(
        "{}d:1:1 [0] NCCL INFO Using network Socket\n",
        one("a", good, "1.16.0")
    );
    let report = read(&text);
    assert_eq!((report.verdict, report.exit_code()), (Verdict::Mixed, 2));
    assert_eq!(reason(&report), Some(Cause::NoReasonLogged));
    let hosts: Vec<_> = report
        .hosts
        .iter()
        .map(|h| (h.host.as_str(), h.verdict))
        .collect();
    assert_eq!(hosts, [("a", Verdict::OnEfa), ("d", Verdict::TcpSockets)]);
    assert!(
        report.to_string().contains("the network differs: "),
        "{report}"
    );
    // A rank that is silent states nothing against the others.
    let text = format!(
        "{}d:1:1 [0] NCCL INFO cudaDriverVersion 12040\n",
        one("a", good, "1.16.0")
    );
    assert_eq!(read(&text).verdict, Verdict::OnEfa);
}

#[test]
fn interleaved_processes_are_distinguished() {
    let text = "n-1:1:1 [0] NCCL INFO NET/OFI Selected Provider is efa (found 4 nics)\n\
                n-2:2:2 [0] NCCL INFO NET/OFI Selected Provider is efa (found 4 nics)\n\
                n-1:1:1 [0] NCCL INFO Using netn-2:2:2 [0] NCCL INFO Using network AWS Libfabric\n\
                work AWS Libfabric\n\
                n-1:1:1 [0] NCCL INFO Channel 00/0 : 0[0] -> 8[0] [send] via NET/AWS Libfabric/0n-2:2:2 [0] NCCL INFO Channel 00/0 : 0[0] -> 8[0] [send] via NET/AWS Libfabric/1/GDRDMA\n\
                /GDRDMA\n\
                n-1:1:1 [0] NCCL INFO Using network Sockn-1:1:1 [0] NCCL INFO Using network AWS Libfabric\n";
    let report = read(text);
    assert_eq!(report.verdict, Verdict::OnEfa, "{report}");
    assert_eq!(report.ranks.len(), 2, "{report}");
    assert_eq!((report.channels.gpudirect, report.channels.staged), (1, 0));
}
