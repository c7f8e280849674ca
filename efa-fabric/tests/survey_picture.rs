//! The picture of the documentation is the one that the example draws.

#[allow(dead_code)] // its main
#[path = "../examples/survey_picture.rs"]
mod survey_picture;

#[test]
fn the_committed_picture_is_what_the_example_prints() {
    let report = survey_picture::simulated().unwrap();
    assert_eq!(report.drain(), ["node-5"]);
    let link = ("node-1".to_owned(), "node-2".to_owned());
    assert_eq!(report.unreachable_links(), [link]);
    let committed = include_str!("../../docs/images/survey.svg");
    assert!(
        report.to_svg() == committed,
        "cargo run -p efa-fabric --example survey_picture > docs/images/survey.svg"
    );
}
