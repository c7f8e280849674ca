//! A cluster in an IPv6-only subnet.

use efa_core::ClusterSpec;
use efa_core::error::Code;
use efa_core::handoff::{
    CloudFormationOptions, EksctlOptions, KarpenterOptions, LaunchTemplateFor, RayClusterOptions,
};
use efa_core::launch::HttpProtocolIpv6;
use efa_core::layout::PublicIp;
use efa_core::spec::HostNames;
use efa_core::testing::FakeAws;

const P5: &str = "p5.48xlarge";

/// A region whose subnets are IPv6-only, or all but the first, and a specification for them.
fn ipv6_only(all: bool) -> (FakeAws, ClusterSpec) {
    let aws = FakeAws::new();
    aws.change(|_, subnets, _| {
        for subnet in subnets.iter_mut().skip(usize::from(!all)) {
            subnet.ipv6_native = true;
            subnet.available_ip_address_count = 0;
        }
    });
    let mut spec = aws.spec("train", P5, 2);
    spec.host_names = Some(HostNames::ResourceName);
    (aws, spec)
}

#[tokio::test]
async fn each_interface_with_an_address_gets_an_ipv6_address() {
    let (aws, spec) = ipv6_only(true);
    let client = aws.client();
    let plan = client.plan(&spec).await.unwrap();
    assert!(plan.to_string().contains("IPv6-only"), "{plan}");
    assert_eq!(efa_core::Plan::from_json(&plan.to_json()).unwrap(), plan);

    let data = plan.launch_data("sg-1", &plan.subnet().subnet_id);
    for interface in &data.network_interfaces {
        let takes = interface.interface_type.as_str() != "efa-only";
        assert_eq!(interface.ipv6_address_count, takes.then_some(1));
    }
    let metadata = data.metadata_options.http_protocol_ipv6;
    assert_eq!(metadata, Some(HttpProtocolIpv6::Enabled));
    let names = data.private_dns_name_options.unwrap();
    assert!(!names.enable_resource_name_dns_a_record);
    assert_eq!(names.enable_resource_name_dns_aaaa_record, Some(true));

    assert!(client.preflight(&plan).await.unwrap().is_ready());
    let cluster = client.apply(&plan).await.unwrap();
    assert!(cluster.instances.iter().all(|i| i.is_ipv6_only()));
    let addresses = cluster.private_ip_addresses();
    assert!(addresses.len() == 2 && addresses.iter().all(|a| a.contains(':')));
    assert!(cluster.to_string().contains(addresses[0]), "{cluster}");
    let report = client.verify("train").await.unwrap();
    assert!(report.is_as_planned(), "{report}");

    // A node by its address; the new one is like it.
    let first = addresses[0].to_owned();
    let replaced = client
        .replace("train", std::slice::from_ref(&first))
        .await
        .unwrap();
    assert_eq!(replaced.instances.len(), 2);
    assert!(replaced.instances.iter().all(|i| i.is_ipv6_only()));
    assert!(!replaced.private_ip_addresses().contains(&first.as_str()));
    let report = client.verify("train").await.unwrap();
    assert!(report.is_as_planned(), "{report}");
}

#[tokio::test]
async fn what_needs_ipv4_goes_to_another_subnet_or_is_refused() {
    let (aws, mut spec) = ipv6_only(true);
    spec.public_ip = PublicIp::ElasticIp;
    spec.subnets.truncate(1);
    let error = aws.client().plan(&spec).await.unwrap_err();
    assert_eq!(error.code(), Code::PlanConflict);
    assert_eq!(error.context_value("field"), Some("public_ip"));
    assert!(error.cure().unwrap().contains("IPv4 range"), "{error:?}");

    // The first subnet has IPv4 addresses still.
    let (aws, mut spec) = ipv6_only(false);
    spec.public_ip = PublicIp::ElasticIp;
    let plan = aws.client().plan(&spec).await.unwrap();
    assert_eq!(plan.subnets().len(), 1);
    let mut rejected = plan.rejected_subnets().iter();
    assert!(rejected.any(|r| r.reason.contains("IPv6-only")), "{plan}");
}

#[tokio::test]
async fn the_subnet_of_each_launch_says_which_addresses_it_has() {
    let (aws, spec) = ipv6_only(false);
    let plan = aws.client().plan(&spec).await.unwrap();
    let families: Vec<bool> = plan
        .subnets()
        .iter()
        .map(|subnet| {
            let data = plan.launch_data("sg-1", &subnet.subnet_id);
            data.network_interfaces[0].ipv6_address_count == Some(1)
        })
        .collect();
    assert!(families.len() > 1, "{plan}");
    assert!(
        families.iter().skip(1).all(|ipv6| *ipv6) && !families[0],
        "{families:?}"
    );
}

#[tokio::test]
async fn ssh_from_ipv4_alone_produces_a_warning() {
    let (aws, mut spec) = ipv6_only(true);
    for (cidr, warned) in [("203.0.113.7/32", true), ("2001:db8::/64", false)] {
        spec.ssh_cidrs = vec![cidr.to_owned()];
        let plan = aws.client().plan(&spec).await.unwrap();
        let found = plan.warnings().iter().any(|w| w.contains("IPv6 range"));
        assert_eq!(found, warned, "{plan}");
    }
}

#[tokio::test]
async fn documents_have_it_or_refuse() {
    let (aws, spec) = ipv6_only(true);
    let client = aws.client();
    let plan = client.plan(&spec).await.unwrap();
    let plan = client.prepare(&plan).await.unwrap();
    let efas = plan.layout().len() - plan.layout().ip_count();
    for text in [
        plan.to_launch_template(LaunchTemplateFor::Ec2).unwrap(),
        plan.to_cli(),
        plan.to_cloudformation(&CloudFormationOptions::default())
            .unwrap(),
    ] {
        let asked = text.matches("Ipv6AddressCount").count();
        assert_eq!(asked, plan.layout().len() - efas, "{text}");
        assert!(text.contains("HttpProtocolIpv6"), "{text}");
        assert!(text.contains("EnableResourceNameDnsAAAARecord"), "{text}");
        assert!(!text.contains("PrivateIps"), "{text}");
    }
    let terraform = plan.to_terraform(LaunchTemplateFor::Ec2).unwrap();
    for argument in [
        "ipv6_address_count",
        "http_protocol_ipv6",
        "enable_resource_name_dns_aaaa_record",
    ] {
        assert!(terraform.contains(argument), "{terraform}");
    }
    let mut plain = spec.clone();
    plain.host_names = None;
    let plan = client.plan(&plain).await.unwrap();
    let plan = client.prepare(&plan).await.unwrap();
    for refused in [
        plan.to_launch_template(LaunchTemplateFor::EksManagedNodeGroup),
        plan.to_eksctl(&EksctlOptions::new("eks")),
        plan.to_karpenter(&KarpenterOptions::default()),
        plan.to_ray_yaml(&RayClusterOptions::default()),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.code(), Code::HandoffNotPossible, "{error}");
        assert!(error.to_string().contains("IPv6-only"), "{error}");
    }
}
