//! The quotas of Service Quotas that a launch counts against.

use crate::spec::Capacity;

/// Service Quotas' name of EC2.
pub(crate) const SERVICE: &str = "ec2";
/// "EC2-VPC Elastic IPs".
pub(crate) const ELASTIC_IPS: RegionQuota = RegionQuota {
    service: SERVICE,
    code: "L-0263D0A3",
};

/// "Network interfaces per Region", of Amazon VPC.
pub(crate) const INTERFACES: RegionQuota = RegionQuota {
    service: "vpc",
    code: "L-DF5E4CA3",
};
/// "Storage for General Purpose SSD (gp3) volumes, in TiB", of Amazon EBS.
pub(crate) const GP3_STORAGE_TIB: RegionQuota = RegionQuota {
    service: "ebs",
    code: "L-7A658B76",
};

/// A quota of a whole region. Origin of the codes: "Amazon VPC quotas" and "Amazon EBS
/// endpoints and quotas"; not checked against the API here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RegionQuota {
    /// Service Quotas' name of the service.
    pub(crate) service: &'static str,
    pub(crate) code: &'static str,
}

struct Family {
    /// How names of its types begin, before the generation's digit.
    prefixes: &'static [&'static str],
    on_demand: &'static str,
    spot: Option<&'static str>,
}

/// Quota codes of "Running On-Demand … instances" and "All … Spot Instance Requests".
/// Origin: the Service Quotas console's list for Amazon EC2; not checked against the API here.
const FAMILIES: &[Family] = &[
    Family {
        prefixes: &["p"],
        on_demand: "L-417A185B",
        spot: Some("L-7212CCBC"),
    },
    Family {
        prefixes: &["g", "gr", "vt"],
        on_demand: "L-DB2E81BA",
        spot: Some("L-3819A6DF"),
    },
    Family {
        prefixes: &["trn"],
        on_demand: "L-2C3B7624",
        spot: Some("L-6B0D517C"),
    },
    Family {
        prefixes: &["inf"],
        on_demand: "L-1945791B",
        spot: Some("L-B5D1601B"),
    },
    Family {
        prefixes: &["dl"],
        on_demand: "L-6E869C2A",
        spot: Some("L-85EED4F7"),
    },
    Family {
        prefixes: &["f"],
        on_demand: "L-74FC7D96",
        spot: Some("L-88CF9481"),
    },
    Family {
        prefixes: &["x"],
        on_demand: "L-7295265B",
        spot: Some("L-E3A00192"),
    },
    Family {
        prefixes: &["u"],
        on_demand: "L-43DA4232",
        spot: None,
    },
    Family {
        prefixes: &["hpc"],
        on_demand: "L-F7808C92",
        spot: None,
    },
    Family {
        prefixes: &["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"],
        on_demand: "L-1216C47A",
        spot: Some("L-34B43A08"),
    },
];

/// The code of the quota; `None` where it is not known, or the capacity is reserved already.
pub(crate) fn vcpu_quota_code(instance_type: &str, capacity: &Capacity) -> Option<&'static str> {
    let letters: String = instance_type
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let family = FAMILIES
        .iter()
        .find(|family| family.prefixes.contains(&letters.as_str()))?;
    match capacity {
        Capacity::OnDemand | Capacity::Open => Some(family.on_demand),
        Capacity::Spot => family.spot,
        Capacity::Reservation(_) | Capacity::Reservations(_) | Capacity::ReservationGroup(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;

    #[test]
    fn every_type_of_the_catalog_has_a_quota() {
        for instance_type in Catalog::bundled().iter() {
            let code = vcpu_quota_code(&instance_type.name, &Capacity::OnDemand);
            assert!(code.is_some(), "{}", instance_type.name);
        }
        let code = |name| vcpu_quota_code(name, &Capacity::Spot);
        assert_eq!(code("p5.48xlarge"), Some("L-7212CCBC"));
        assert_eq!(code("hpc7a.96xlarge"), None);
        assert_eq!(
            vcpu_quota_code("p5.48xlarge", &Capacity::Reservation("cr-1".into())),
            None
        );
    }
}
