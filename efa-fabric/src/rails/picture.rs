//! Rails as a picture: what each one reached, against what it should reach.

use efa_core::svg::{LINE, PADDING, Picture};

use super::report::{RailResult, Report};

/// Of the longest bar, in px.
const BAR: f64 = 320.0;
/// Rails that are drawn.
const MAX_RAILS: usize = 64;
/// Letters of a name that are shown.
const MAX_NAME: usize = 20;

impl Report {
    /// Returns the rails as a self-contained SVG: for each one a bar of what it reached alone and
    /// one of what it reached together with all others, in Gbit/s, and a mark at what it should
    /// reach, where that is known. It is readable on light and dark pages, and without scripts.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let mut title = format!(
            "{} rails, messages of {} bytes",
            self.rails.len(),
            self.size
        );
        if self.simulated {
            title.push_str(" (simulated: not over EFA)");
        }
        let drawn = || self.rails.iter().take(MAX_RAILS);
        let names = drawn().map(|rail| name(rail).chars().count());
        let left = PADDING + 7 * names.max().unwrap_or(0) + 12;
        let most = drawn()
            .flat_map(|rail| {
                let measures = [rail.alone.as_ref(), rail.together.as_ref()];
                let measured = measures.into_iter().flatten().map(|m| m.gbps);
                measured.chain(rail.rail.expected_gbps)
            })
            .filter(|gbps| gbps.is_finite())
            .fold(0.0_f64, f64::max);
        let scale = if most > 0.0 { BAR / most } else { 0.0 };
        let mut picture = Picture::default();
        let mut y = PADDING + 14;
        picture.text("title", (PADDING, y), &title);
        y += 12;
        for rail in drawn() {
            self.draw(&mut picture, rail, (left, y), scale);
            y += 2 * LINE;
        }
        if self.rails.len() > MAX_RAILS {
            let more = format!("and {} more rails", self.rails.len() - MAX_RAILS);
            picture.text("", (PADDING, y + 12), &more);
            y += LINE;
        }
        y += LINE;
        picture.rect("efa-only", (PADDING, y - 10), (12, 12));
        picture.text("", (PADDING + 18, y), "alone");
        picture.rect("efa", (PADDING + 80, y - 10), (12, 12));
        picture.text("", (PADDING + 98, y), "together");
        if drawn().any(|rail| rail.rail.expected_gbps.is_some()) {
            picture.mark(PADDING + 184, y - 10, y + 2);
            picture.text("", (PADDING + 194, y), "expected; Gbit/s");
        } else {
            picture.text(
                "",
                (PADDING + 178, y),
                "Gbit/s; what to expect is not known",
            );
        }
        picture.finish(&title)
    }

    fn draw(
        &self,
        picture: &mut Picture,
        rail: &RailResult,
        (left, y): (usize, usize),
        scale: f64,
    ) {
        let device = &rail.rail.device;
        let slow = self.slow_alone.contains(device) || self.slow_together.contains(device);
        let class = if slow { "bad end" } else { "end" };
        picture.text(class, (left - 8, y + 19), &name(rail));
        // Not negative, and at most as long as the longest bar.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let length = |gbps: f64| (gbps * scale).clamp(0.0, BAR) as usize;
        let bars = [("efa-only", &rail.alone), ("efa", &rail.together)];
        for (number, (class, measure)) in bars.into_iter().enumerate() {
            let top = y + number * 15;
            let Some(measure) = measure else { continue };
            picture.rect(class, (left, top), (length(measure.gbps).max(1), 13));
            let figure = format!("{:.1}", measure.gbps);
            picture.text("on", (left + 4, top + 11), &figure);
        }
        if let Some(expected) = rail.rail.expected_gbps {
            picture.mark(left + length(expected), y, y + 28);
        }
        if let Some(failure) = &rail.failure {
            picture.text("bad", (left + BAR as usize + 8, y + 19), &failure.code);
        }
    }
}

fn name(rail: &RailResult) -> String {
    rail.rail.device.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let measure = |gbps: f64| {
            serde_json::json!({
                "provider": "efa", "domain": "d", "bytes": 1, "elapsed_s": 1.0, "gbps": gbps,
                "latency_us": null, "shared_memory": "not_applicable", "evidence": {"status": "unknown"},
                "counter_growth": {}
            })
        };
        let rail = |device: &str, alone: f64, together: f64| {
            serde_json::json!({
                "rail": {"device": device, "provider": "efa", "expected_gbps": 100.0},
                "pinning": {"status": "not_pinned", "reason": "a test"},
                "alone": measure(alone), "together": measure(together), "failure": null
            })
        };
        let mut failed = rail("rdmap30s0", 1.0, 1.0);
        failed["alone"] = serde_json::Value::Null;
        failed["together"] = serde_json::Value::Null;
        failed["failure"] = serde_json::json!({"code": "fabric.timeout", "message": "m"});
        serde_json::from_value(serde_json::json!({
            "library_path": "/l", "library_version": {"major": 1, "minor": 22}, "size": 1_048_576,
            "rails": [rail("rdmap10s0", 97.0, 96.0), rail("rdmap20s0", 61.0, 60.0), failed],
            "slow_alone": ["rdmap20s0"], "slow_together": ["rdmap20s0"],
            "sum_gbps": null, "aggregate_gbps": null, "together_s": null, "expected_gbps": 300.0,
            "median_alone_gbps": 97.0, "median_together_gbps": 96.0, "threads": 6, "cpus": 8,
            "simulated": false, "statements": []
        }))
        .unwrap()
    }

    #[test]
    fn each_rail_has_its_bars_and_a_mark_at_what_to_expect() {
        let svg = report().to_svg();
        assert_eq!(svg.matches("class=\"mark\"").count(), 3 + 1);
        assert_eq!(
            svg.matches("class=\"efa\"").count(),
            2 + 1,
            "none where none was measured"
        );
        assert!(
            svg.contains("class=\"bad end\"") && svg.contains(">61.0<"),
            "{svg}"
        );
        assert!(svg.contains(">fabric.timeout<"), "{svg}");
    }

    /// Written with `EFA_WRITE_PICTURES` in the environment.
    #[test]
    fn the_documented_picture_is_what_is_drawn() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images/rails.svg");
        let svg = report().to_svg();
        if std::env::var_os("EFA_WRITE_PICTURES").is_some() {
            std::fs::write(path, &svg).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == svg,
            "{path}"
        );
    }

    #[test]
    fn what_is_not_known_is_said_and_no_mark_is_drawn() {
        let mut report = report();
        for rail in &mut report.rails {
            rail.rail.expected_gbps = None;
            rail.rail.device = "<script>".to_owned();
        }
        report.simulated = true;
        let svg = report.to_svg();
        assert_eq!(svg.matches("class=\"mark\"").count(), 0);
        assert!(svg.contains("what to expect is not known"), "{svg}");
        assert!(
            svg.contains("not over EFA") && !svg.contains("<script>"),
            "{svg}"
        );
    }
}
