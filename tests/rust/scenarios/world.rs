//! The two AWS that scenarios are run on: the one in memory, and the stand-in over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use efa_core::aws::AwsSdk;
use efa_core::ec2::{Ec2, Filter, RunInstances};
use efa_core::layout::NetworkInterface;
use efa_core::provision::Wait;
use efa_core::services::Aws;
use efa_core::testing::FakeAws;
use efa_core::{Client, ClusterSpec, ConnectOptions, Result};

use super::stand_in::StandIn;

pub(crate) const SMALL: &str = "c5n.18xlarge";

/// One AWS, and what differs in how it is steered.
pub(crate) enum World {
    Memory(FakeAws),
    Http(StandIn, AwsSdk),
}

impl World {
    pub(crate) fn in_memory() -> Self {
        Self::Memory(FakeAws::new())
    }

    pub(crate) async fn over_http() -> Self {
        let stand_in = StandIn::start().unwrap();
        let options = ConnectOptions::stand_in(&stand_in.endpoint_url);
        let aws = AwsSdk::connect(&options).await.unwrap();
        Self::Http(stand_in, aws)
    }

    pub(crate) fn aws(&self) -> Arc<dyn Aws> {
        match self {
            Self::Memory(fake) => Arc::new(fake.clone()),
            Self::Http(_, aws) => Arc::new(aws.clone()),
        }
    }

    pub(crate) fn client(&self) -> Client {
        match self {
            Self::Memory(fake) => fake.client(),
            Self::Http(_, aws) => {
                let mut wait = Wait::default();
                wait.first_poll = Duration::from_millis(5);
                Client::new(Arc::new(aws.clone())).with_wait(wait)
            }
        }
    }

    /// Starts over.
    pub(crate) fn reset(&mut self) {
        match self {
            Self::Memory(fake) => *fake = FakeAws::new(),
            Self::Http(..) => self.post("reset", "{}"),
        }
    }

    /// Lets all instances come to where they are going.
    pub(crate) async fn pass(&self) {
        match self {
            Self::Memory(fake) => fake.clock().advance(Duration::from_secs(3600)),
            Self::Http(_, aws) => {
                for _ in 0..3 {
                    aws.describe_instances(&[]).await.unwrap();
                }
            }
        }
    }

    pub(crate) fn set_capacity(&self, zone: &str, count: u32) {
        match self {
            Self::Memory(fake) => fake.set_capacity(SMALL, zone, count),
            Self::Http(..) => self.post(
                "capacity",
                &format!(r#"{{"instance_type": "{SMALL}", "zone": "{zone}", "count": {count}}}"#),
            ),
        }
    }

    pub(crate) fn set_quota(&self, code: &str, value: u32) {
        match self {
            Self::Memory(fake) => fake.set_quota(code, f64::from(value)),
            Self::Http(..) => self.post(
                "quota",
                &format!(r#"{{"quota_code": "{code}", "value": {value}}}"#),
            ),
        }
    }

    pub(crate) fn set_eventual(&self, calls: u32) {
        match self {
            Self::Memory(fake) => fake.set_eventual(calls),
            Self::Http(..) => self.post("settings", &format!(r#"{{"eventual": {calls}}}"#)),
        }
    }

    /// Asks the stand-in for something that EC2 has no call for.
    fn post(&self, path: &str, body: &str) {
        let Self::Http(stand_in, _) = self else {
            return;
        };
        let host = stand_in.endpoint_url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "POST /efa-sdk/{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{path}: {answer}");
    }
}

/// What every launch needs, as it is in this world.
pub(crate) struct Base {
    pub(crate) vpc_id: String,
    /// In the zones that offer the small type, in order.
    pub(crate) subnets: Vec<String>,
    pub(crate) zones: Vec<String>,
    pub(crate) image_id: String,
    pub(crate) arm_image_id: String,
    pub(crate) group_id: String,
}

impl Base {
    pub(crate) async fn of(world: &World) -> Self {
        let aws = world.aws();
        let by_type = [Filter::new("instance-type", SMALL)];
        let offered = aws
            .describe_instance_type_offerings(&by_type)
            .await
            .unwrap();
        let mut zones: Vec<String> = offered.into_iter().map(|o| o.availability_zone).collect();
        zones.sort();
        let vpcs = aws.describe_vpcs(&[]).await.unwrap();
        let vpc_id = vpcs.into_iter().find(|vpc| vpc.is_default).unwrap().vpc_id;
        let mut subnets = Vec::new();
        for zone in &zones {
            let filters = [
                Filter::new("availability-zone", zone),
                Filter::new("vpc-id", &vpc_id),
            ];
            subnets.push(
                aws.describe_subnets(&filters)
                    .await
                    .unwrap()
                    .remove(0)
                    .subnet_id,
            );
        }
        let image = |architecture: &str| {
            let (aws, name) = (aws.clone(), format!("al2023-ami-2023*-{architecture}"));
            async move {
                let found = aws.describe_images(&[], &[Filter::new("name", name)]).await;
                found.unwrap().remove(0).image_id
            }
        };
        let name = Filter::new("group-name", "default");
        let in_vpc = Filter::new("vpc-id", &vpc_id);
        let groups = aws.describe_security_groups(&[name, in_vpc]).await.unwrap();
        Self {
            subnets,
            zones,
            image_id: image("x86_64").await,
            arm_image_id: image("arm64").await,
            group_id: groups[0].group_id.clone(),
            vpc_id,
        }
    }

    pub(crate) fn spec(&self, name: &str, count: u32) -> ClusterSpec {
        ClusterSpec::new(name, SMALL, count, &self.subnets[0], &self.image_id)
    }

    /// A launch of one small instance.
    pub(crate) fn launch(&self, token: &str) -> Asked {
        Asked {
            token: token.to_owned(),
            instance_type: SMALL.to_owned(),
            counts: (1, 1),
            image_id: self.image_id.clone(),
            subnet_id: self.subnets[0].clone(),
            group_id: self.group_id.clone(),
            placement_group: None,
            profile: None,
            market: "on-demand",
            volume_gib: None,
            user_data: None,
            interfaces: vec![NetworkInterface::new(
                0,
                0,
                efa_core::types::InterfaceType::Efa,
            )],
        }
    }
}

/// A RunInstances request, in parts.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) token: String,
    pub(crate) instance_type: String,
    pub(crate) counts: (u32, u32),
    pub(crate) image_id: String,
    pub(crate) subnet_id: String,
    pub(crate) group_id: String,
    pub(crate) placement_group: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) market: &'static str,
    pub(crate) volume_gib: Option<u32>,
    pub(crate) user_data: Option<String>,
    pub(crate) interfaces: Vec<NetworkInterface>,
}

impl Asked {
    /// In EC2's own form.
    fn request(&self) -> RunInstances {
        let reserved = self.market.starts_with("cr-");
        let interfaces = self.interfaces.iter().map(|interface| {
            serde_json::json!({
                "NetworkCardIndex": interface.network_card_index,
                "DeviceIndex": interface.device_index,
                "InterfaceType": interface.interface_type,
                "SubnetId": self.subnet_id,
                "Groups": [self.group_id],
                "AssociatePublicIpAddress": interface.associate_public_ip_address,
                "SecondaryPrivateIpAddressCount": interface.ipv4_address_count,
                "DeleteOnTermination": true,
            })
        });
        let mut request = serde_json::json!({
            "ClientToken": self.token,
            "MinCount": self.counts.0,
            "MaxCount": self.counts.1,
            "InstanceType": self.instance_type,
            "ImageId": self.image_id,
            "NetworkInterfaces": interfaces.collect::<Vec<_>>(),
            "Placement": {"GroupName": self.placement_group},
            "MetadataOptions": {
                "HttpTokens": "required",
                "HttpEndpoint": "enabled",
                "HttpPutResponseHopLimit": 2,
            },
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "scenario"}]},
            ],
            "UserData": self.user_data,
        });
        if self.market == "spot" {
            request["InstanceMarketOptions"] = serde_json::json!({"MarketType": "spot"});
        }
        if reserved {
            let target = serde_json::json!({"CapacityReservationId": self.market});
            request["CapacityReservationSpecification"] =
                serde_json::json!({"CapacityReservationTarget": target});
        }
        if let Some(profile) = &self.profile {
            request["IamInstanceProfile"] = serde_json::json!({"Name": profile});
        }
        if let Some(gib) = self.volume_gib {
            request["BlockDeviceMappings"] = serde_json::json!([{
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "VolumeSize": gib,
                    "VolumeType": "gp3",
                    "Encrypted": true,
                    "DeleteOnTermination": true,
                },
            }]);
        }
        serde_json::from_value(request).unwrap()
    }

    /// The ids of the launched instances.
    pub(crate) async fn run(&self, world: &World) -> Result<Vec<String>> {
        let made = world.aws().run_instances(&self.request()).await?;
        Ok(made
            .into_iter()
            .map(|instance| instance.instance_id)
            .collect())
    }

    pub(crate) async fn dry_run(&self, world: &World) -> Result<()> {
        world.aws().dry_run_instances(&self.request()).await
    }
}
