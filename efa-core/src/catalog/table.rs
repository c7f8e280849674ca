//! Instance types as a text table.

use std::fmt::Write;

use super::instance_type::InstanceType;

const HEAD: [&str; 7] = [
    "Instance",
    "vCPU",
    "Cores",
    "Memory (GiB)",
    "EFA",
    "Cards",
    "Gbps",
];

/// Returns a table with aligned columns, one line per type: vCPUs, cores, memory in GiB, the number
/// of EFA interfaces and of network cards, and the network bandwidth in Gbps. `-` stands for what
/// EC2 does not report it.
///
/// ```
/// use efa_core::Catalog;
/// use efa_core::catalog::instance_type_table;
///
/// # fn main() -> efa_core::Result<()> {
/// let catalog = Catalog::bundled();
/// let table = instance_type_table(&[catalog.require("p5.48xlarge")?]);
/// assert_eq!(table, "\
/// Instance     vCPU  Cores  Memory (GiB)  EFA  Cards  Gbps
/// p5.48xlarge   192     96          2048   32     32  3200
/// ");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn instance_type_table(types: &[&InstanceType]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(types.iter().map(|t| cells(t)));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let _ = write!(text, "{:<1$}", row[0], widths[0]); // writing to a String cannot fail
        for (cell, width) in row.iter().zip(widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

/// Returns the same table for a notebook.
///
/// # Examples
/// ```
/// use efa_core::Catalog;
/// use efa_core::catalog::instance_type_html;
///
/// let html = instance_type_html(Catalog::bundled());
/// assert!(html.starts_with("<table>") && html.contains("p5.48xlarge"));
/// ```
#[must_use]
pub fn instance_type_html<'a>(types: impl IntoIterator<Item = &'a InstanceType>) -> String {
    let rows: Vec<Vec<String>> = types.into_iter().map(|t| cells(t).to_vec()).collect();
    crate::html::table(&HEAD, &rows, false)
}

fn cells(t: &InstanceType) -> [String; 7] {
    let dash = || "-".to_owned();
    [
        t.name.clone(),
        t.default_vcpus.to_string(),
        t.default_cores.map_or_else(dash, |cores| cores.to_string()),
        t.memory_gib().to_string(),
        t.maximum_efa_interfaces.to_string(),
        t.network_cards.len().to_string(),
        t.network_bandwidth
            .map_or_else(dash, |gbps| gbps.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_are_dashes_and_columns_align() {
        let known = crate::Catalog::bundled()
            .require("u7in-32tb.224xlarge")
            .unwrap();
        let table = instance_type_table(&[&InstanceType::unknown("x9.metal"), known]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines[1],
            "x9.metal                0      -             0    0      0     -"
        );
        assert_eq!(
            lines[2],
            "u7in-32tb.224xlarge   896    448         32768    2      2   200"
        );
        assert!(lines.iter().all(|line| line.len() == lines[0].len()));
    }
}
