//! The heatmap of a survey as a picture: prints the SVG that is `docs/images/survey.svg`.
//!
//! `cargo run -p efa-fabric --example survey_picture > docs/images/survey.svg`. The cluster is
//! simulated: eight nodes, one of which is slow, and two that do not reach each other. A report of
//! a real survey draws the same with `survey_run::Report::to_svg`; with the path of such a report as
//! JSON, its picture is printed instead.

use std::error::Error;

use efa_fabric::survey::Options;
use efa_fabric::survey::simulate::{Cluster, Fault};
use efa_fabric::survey_run::{Node, Report};

const NODES: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let report = match std::env::args().nth(1) {
        Some(path) => serde_json::from_str(&std::fs::read_to_string(path)?)?,
        None => simulated()?,
    };
    print!("{}", report.to_svg());
    Ok(())
}

/// The survey of a cluster with two faults; the same each time.
pub(crate) fn simulated() -> Result<Report, efa_fabric::Error> {
    let mut cluster = Cluster::healthy(NODES)
        .with(Fault::SlowNode {
            node: 5,
            loss: 0.35,
        })
        .with(Fault::DeadLink { pair: (1, 2) });
    cluster.rails = 1;
    cluster.rail_gbps = 400.0;
    cluster.noise = 0.02;
    let run = cluster.survey(Options::default(), 1)?;
    let nodes = (0..NODES).map(|number| Node::new(format!("node-{number}")));
    Ok(Report::from_measurements(
        nodes.collect(),
        "a simulated network",
        run.observations,
        run.conclusion,
    ))
}
