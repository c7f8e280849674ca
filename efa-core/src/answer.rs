//! EC2's large answers, read from their XML into this crate's types.
//!
//! The SDK builds a value of its own of every field in an answer, of which this crate keeps a few. For
//! the answers that grow with the region or the cluster, that took most of a call's time.

mod instance;
mod instance_type;
mod required;
mod xml;

use crate::catalog::InstanceType;
use crate::ec2::{Instance, InstanceState, Offering};
use crate::error::Result;
pub(crate) use required::present;
use xml::{Document, Element};

/// The items of one answer, and where the next answer goes on.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_token: Option<String>,
}

/// How the answers of one action are read.
pub(crate) struct Answer<T> {
    /// The name of the document.
    document: &'static str,
    /// The name of the set in it, whose items are read.
    set: &'static str,
    item: fn(Element<'_>) -> Result<T>,
}

pub(crate) static INSTANCE_TYPES: Answer<InstanceType> = Answer {
    document: "DescribeInstanceTypesResponse",
    set: "instanceTypeSet",
    item: instance_type::read,
};

pub(crate) static OFFERINGS: Answer<Offering> = Answer {
    document: "DescribeInstanceTypeOfferingsResponse",
    set: "instanceTypeOfferingSet",
    item: offering,
};

/// Instances by reservation.
pub(crate) static INSTANCES: Answer<Vec<Instance>> = Answer {
    document: "DescribeInstancesResponse",
    set: "reservationSet",
    item: |reservation| {
        reservation
            .items("instancesSet")
            .map(instance::read)
            .collect()
    },
};

/// The id and the state of each instance.
pub(crate) static STATES: Answer<(String, InstanceState)> = Answer {
    document: "DescribeInstanceStatusResponse",
    set: "instanceStatusSet",
    item: |status| {
        let id = present(status.string("instanceId"), "InstanceId")?;
        Ok((id, instance::state(status)?))
    },
};

pub(crate) static LAUNCHED: Answer<Instance> = Answer {
    document: "RunInstancesResponse",
    set: "instancesSet",
    item: instance::read,
};

impl<T> Answer<T> {
    /// Reads an answer; `None` where the text is not the whole document.
    pub(crate) fn read(&self, body: &[u8]) -> Option<Result<Page<T>>> {
        let document = Document::parse(std::str::from_utf8(body).ok()?)?;
        let root = document.root();
        if root.name() != self.document {
            return None;
        }
        let items: Result<_> = root.items(self.set).map(self.item).collect();
        Some(items.map(|items| Page {
            items,
            next_token: root.non_empty("nextToken"),
        }))
    }

    /// The document with nothing in it.
    pub(crate) fn empty(&self) -> String {
        format!("<{0}></{0}>", self.document)
    }
}

fn offering(item: Element<'_>) -> Result<Offering> {
    Ok(Offering {
        instance_type: present(item.string("instanceType"), "InstanceType")?,
        availability_zone: present(item.string("location"), "Location")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <DescribeInstanceTypeOfferingsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
        <requestId>1</requestId><instanceTypeOfferingSet><item><instanceType>p5.48xlarge</instanceType>\
        <location>us-east-1a</location><locationType>availability-zone</locationType></item>\
        <item><location>us-east-1b</location><instanceType>c5n.18xlarge</instanceType></item>\
        </instanceTypeOfferingSet><nextToken>a&amp;b</nextToken>\
        </DescribeInstanceTypeOfferingsResponse>";

    #[test]
    fn a_page_has_its_items_and_where_it_goes_on() {
        let page = OFFERINGS.read(OFFERED.as_bytes()).unwrap().unwrap();
        let pairs: Vec<_> = page
            .items
            .iter()
            .map(|one| (one.instance_type.as_str(), one.availability_zone.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("p5.48xlarge", "us-east-1a"),
                ("c5n.18xlarge", "us-east-1b")
            ]
        );
        assert_eq!(page.next_token.as_deref(), Some("a&b"));
        for last in ["<nextToken></nextToken>", "<nextToken/>", ""] {
            let text = OFFERED.replace("<nextToken>a&amp;b</nextToken>", last);
            let page = OFFERINGS.read(text.as_bytes()).unwrap().unwrap();
            assert_eq!((page.items.len(), page.next_token), (2, None), "{last}");
        }
    }

    #[test]
    fn no_part_of_an_answer_is_an_answer() {
        for length in 0..OFFERED.len() {
            let part = &OFFERED.as_bytes()[..length];
            assert!(OFFERINGS.read(part).is_none(), "{length} bytes");
        }
        assert!(INSTANCES.read(OFFERED.as_bytes()).is_none());
        assert!(OFFERINGS.read(b"<html><body>busy</body></html>").is_none());
        assert!(OFFERINGS.read(b"\xff").is_none());
    }

    #[test]
    fn states_are_read_with_their_ids() {
        let item = "<item><instanceId>i-1</instanceId><instanceState><code>48</code>\
            <name>terminated</name></instanceState><systemStatus><status>ok</status></systemStatus></item>";
        let text = format!(
            "<DescribeInstanceStatusResponse><instanceStatusSet>{item}</instanceStatusSet>\
             </DescribeInstanceStatusResponse>"
        );
        let page = STATES.read(text.as_bytes()).unwrap().unwrap();
        assert_eq!(page.items, [("i-1".to_owned(), InstanceState::Terminated)]);
        for (left_out, field) in [
            ("<instanceId>i-1</instanceId>", "InstanceId"),
            ("<name>terminated</name>", "State.Name"),
        ] {
            let error = STATES.read(text.replace(left_out, "").as_bytes());
            let error = error.unwrap().unwrap_err();
            assert_eq!(error.code().as_str(), "ec2.unexpected_answer");
            assert!(error.to_string().contains(field), "{error}");
        }
    }

    #[test]
    fn an_item_without_what_ec2_always_says_is_an_error() {
        let text = OFFERED.replace("<location>us-east-1b</location>", "");
        let error = OFFERINGS.read(text.as_bytes()).unwrap().unwrap_err();
        assert_eq!(error.code().as_str(), "ec2.unexpected_answer");
        assert!(error.to_string().contains("Location"), "{error}");
    }
}
