//! PurchaseCapacityBlock: buys an offering that was listed, at the price that its caller confirms.
//!
//! The call has no client token (EC2 API reference), so it is sent once, and a purchase whose answer
//! was lost is found by its tag. Whether EC2 lists an offering under the same id again is not
//! documented: one that is alike in all else is taken for it.

use super::progress::Action;
use super::steps::{SETTLING, Steps};
use crate::ec2::{
    CapacityBlockOffering, CapacityBlockSearch, CapacityReservation, Filter, PurchaseCapacityBlock,
    Tags,
};
use crate::error::{Code, Error, Result};
use crate::failure::effect_unknown;
use crate::prices::Money;
use crate::resource;
use crate::tags;

/// States in which a purchase came to nothing. Origin: EC2 user guide, "View Capacity Blocks".
const CAME_TO_NOTHING: [&str; 3] = ["payment-failed", "cancelled", "failed"];

/// Options for buying a Capacity Block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurchaseOptions {
    /// What its instances are billed as: that of the images that will run there.
    pub instance_platform: String,
    /// Tags of the reservation.
    pub tags: Tags,
}

impl Default for PurchaseOptions {
    /// `Linux/UNIX`, without tags.
    fn default() -> Self {
        Self {
            instance_platform: "Linux/UNIX".to_owned(),
            tags: Tags::new(),
        }
    }
}

impl CapacityBlockOffering {
    /// Returns the price that a caller confirms: an amount in the offering's currency, such as
    /// `1234.56`, or with its own.
    ///
    /// # Errors
    /// `plan.invalid_spec` for what is no amount.
    pub fn confirmed_price(&self, text: &str) -> Result<Money> {
        let own = self.currency_code.as_deref().unwrap_or_default();
        let (amount, currency) = text.split_once(' ').unwrap_or((text, own));
        Money::parse(amount, currency).ok_or_else(|| {
            Error::invalid_spec(
                "confirm_price",
                text,
                "an amount such as 1234.56, or with its currency: 1234.56 USD",
                "give the upfront_fee of the offering",
            )
        })
    }
}

/// Buys the offering if it still costs what is confirmed; what was bought before is given back.
pub(crate) async fn purchase_capacity_block(
    steps: &Steps<'_>,
    offering: &CapacityBlockOffering,
    confirmed: &Money,
    options: &PurchaseOptions,
) -> Result<CapacityReservation> {
    let id = &offering.capacity_block_offering_id;
    if let Some(known) = options
        .tags
        .keys()
        .find(|key| key.starts_with(tags::PREFIX))
    {
        return Err(Error::invalid_spec(
            "tags",
            known,
            "keys other than efa-sdk:…",
            "choose another key",
        ));
    }
    if let Some(block) = bought(steps, id).await? {
        let block_id = &block.capacity_reservation_id;
        let detail = format!("bought before, of {id}");
        steps.tell(
            Action::Found,
            resource::CAPACITY_RESERVATION,
            block_id,
            detail,
        );
        return Ok(block);
    }
    let listed = listed(steps, offering).await?;
    require_price(&listed, confirmed)?;
    let mut request = PurchaseCapacityBlock {
        capacity_block_offering_id: listed.capacity_block_offering_id,
        instance_platform: options.instance_platform.clone(),
        tags: options.tags.clone(),
    };
    request.tags.insert(tags::OFFERING.to_owned(), id.clone());
    let answer = steps.changing()?.purchase_capacity_block(&request).await;
    let block = match answer {
        Ok(block) => block,
        Err(error) if is_unknown(&error) => found_or_unknown(steps, id, error).await?,
        Err(error) => return Err(error),
    };
    let block_id = &block.capacity_reservation_id;
    let detail = format!("bought for {confirmed}, {}", block.state);
    steps.tell(
        Action::Created,
        resource::CAPACITY_RESERVATION,
        block_id,
        detail,
    );
    Ok(block)
}

/// Whether the block may have been bought: no answer came, or one that cannot be read.
fn is_unknown(error: &Error) -> bool {
    effect_unknown(error) || error.code() == Code::Ec2UnexpectedAnswer
}

/// The block that was bought of an offering, by its tag.
async fn bought(steps: &Steps<'_>, offering_id: &str) -> Result<Option<CapacityReservation>> {
    let by = [Filter::tag(tags::OFFERING, offering_id)];
    let found = steps.aws.describe_capacity_reservations(&by).await?;
    let stands = |one: &CapacityReservation| !CAME_TO_NOTHING.contains(&one.state.as_str());
    Ok(found.into_iter().find(stands))
}

/// The offering as EC2 lists it now.
async fn listed(
    steps: &Steps<'_>,
    offering: &CapacityBlockOffering,
) -> Result<CapacityBlockOffering> {
    let search = CapacityBlockSearch {
        instance_type: offering.instance_type.clone(),
        instance_count: offering.instance_count,
        duration_hours: offering.duration_hours,
    };
    let mut listed = steps.aws.describe_capacity_block_offerings(&search).await?;
    let goods = |one: &CapacityBlockOffering| {
        let (zone, start, end) = (&one.availability_zone, &one.start_date, &one.end_date);
        (zone.clone(), start.clone(), end.clone())
    };
    listed.retain(|one| goods(one) == goods(offering));
    let id = &offering.capacity_block_offering_id;
    let same = listed
        .iter()
        .position(|one| one.capacity_block_offering_id == *id);
    match same.or_else(|| (!listed.is_empty()).then_some(0)) {
        Some(number) => Ok(listed.swap_remove(number)),
        None => Err(Error::new(
            Code::PlanResourceNotFound,
            format!("EC2 does not offer the Capacity Block {id} any more"),
        )
        .with_cure("list the offerings again, and choose one of them")
        .with_context("field", "offering")
        .with_context("value", id)),
    }
}

fn require_price(listed: &CapacityBlockOffering, confirmed: &Money) -> Result<()> {
    let id = &listed.capacity_block_offering_id;
    let fee = listed.upfront();
    if fee.as_ref() == Some(confirmed) {
        return Ok(());
    }
    let costs = fee.map_or_else(|| "an unknown fee".to_owned(), |fee| fee.to_string());
    Err(Error::new(
        Code::PlanConflict,
        format!("the Capacity Block {id} costs {costs}, and {confirmed} was confirmed"),
    )
    .with_cure("look at the offering as EC2 lists it now, and confirm its price")
    .with_context("field", "confirm_price")
    .with_context("value", confirmed)
    .with_context("limit", costs))
}

/// Looks for the block until EC2 would show it; the error where it does not.
async fn found_or_unknown(
    steps: &Steps<'_>,
    id: &str,
    error: Error,
) -> Result<CapacityReservation> {
    let mut poll = steps.poll_for(SETTLING.min(steps.wait.timeout));
    loop {
        if let Ok(Some(block)) = bought(steps, id).await {
            return Ok(block);
        }
        // Cancelled or at its end: what became of the purchase stays unknown.
        if !steps.pause(&mut poll).await.unwrap_or(false) {
            break;
        }
    }
    let tag = format!("tag:{}={id}", tags::OFFERING);
    Err(error
        .with_cure(format!(
            "whether it was bought is unknown: look for a capacity reservation with {tag} and at the \
             account's bill before buying again"
        ))
        .with_next_command(format!(
            "aws ec2 describe-capacity-reservations --filters Name=tag:{},Values={id}",
            tags::OFFERING
        ))
        .with_missing_context("took_effect", "unknown")
        .retryable(false)
        .changed_aws())
}
