//! The main job from Rust: choose a type, plan, apply, verify and destroy a cluster on the EC2
//! stand-in. `make demo-rust` runs it.

use std::error::Error;

use efa_core::aws::AwsSdk;
use efa_core::catalog::Query;
use efa_core::ec2::{Ec2, Filter};
use efa_core::{Catalog, Client, ClusterSpec, ConnectOptions};

#[path = "support/stand_in.rs"]
mod stand_in;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut query = Query::default();
    query.gpu_name = Some("h?00".to_owned());
    query.minimum_efa_interfaces = Some(16);
    let catalog = Catalog::bundled();
    println!(
        "{}",
        efa_core::catalog::instance_type_table(&catalog.find(&query)?)
    );

    let p5 = catalog.require("p5.48xlarge")?;
    println!(
        "{}",
        p5.layout(&efa_core::layout::Request::default())?.draw()
    );

    let stand_in = stand_in::StandIn::start()?;
    println!("EC2 stand-in on {}\n", stand_in.endpoint_url);
    let ec2 = AwsSdk::connect(&ConnectOptions::stand_in(&stand_in.endpoint_url)).await?;

    // On AWS you know these; here they are looked up.
    let zone = Filter::new("availability-zone", "us-east-1a");
    let subnet = ec2.describe_subnets(&[zone]).await?.remove(0);
    let image_name = Filter::new("name", "al2023-ami-2023*-x86_64");
    let image = ec2.describe_images(&[], &[image_name]).await?.remove(0);

    let client = Client::new(std::sync::Arc::new(ec2)).with_progress(|event| println!("  {event}"));
    let spec = ClusterSpec::new("train", "p5.48xlarge", 2, subnet.subnet_id, image.image_id);
    let plan = client.plan(&spec).await?;
    println!("{plan}");
    println!("{}", client.apply(&plan).await?);
    println!("{}", client.verify("train").await?);
    println!("{}", client.destroy("train").await?);
    Ok(())
}
