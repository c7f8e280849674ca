//! The interfaces of a document, back in our own type.

use serde_json::Value;

use crate::layout::NetworkInterface;
use crate::types::InterfaceType;

/// An entry of a list of interfaces that cannot be read, by its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Position in the list.
    pub(crate) at: usize,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// Reads EC2's `NetworkInterfaces`, in the spelling of its API (`NetworkCardIndex`) or of
/// Kubernetes and Terraform-like documents (`networkCardIndex`, `network_card_index`). A card that
/// is left out is 0 and a type that is left out `interface`, as EC2 takes them.
pub(crate) fn read_interfaces<'a>(
    list: impl IntoIterator<Item = &'a Value>,
) -> Result<Vec<NetworkInterface>, Malformed> {
    list.into_iter()
        .enumerate()
        .map(|(at, entry)| interface(entry).map_err(|message| Malformed { at, message }))
        .collect()
}

fn interface(entry: &Value) -> Result<NetworkInterface, String> {
    if !entry.is_object() {
        return Err(format!("{entry} is not an interface"));
    }
    let index = |name: &str| match field(entry, name) {
        None => Ok(None),
        // Terraform and CloudFormation also take numbers as text.
        Some(value) => value
            .as_u64()
            .or_else(|| value.as_str()?.parse().ok())
            .and_then(|number| u32::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| format!("{name} is {value}, must be a number from 0")),
    };
    let card = index("NetworkCardIndex")?.unwrap_or(0);
    let device = index("DeviceIndex")?.ok_or_else(|| "DeviceIndex is missing".to_owned())?;
    let interface_type = match field(entry, "InterfaceType") {
        None => InterfaceType::Interface,
        Some(Value::String(text)) => InterfaceType::from(text.as_str()),
        Some(other) => return Err(format!("InterfaceType is {other}, must be text")),
    };
    let mut interface = NetworkInterface::new(card, device, interface_type);
    interface.associate_public_ip_address = match field(entry, "AssociatePublicIpAddress") {
        None => None,
        Some(Value::Bool(value)) => Some(*value),
        Some(Value::String(text)) if text == "true" => Some(true),
        Some(_) => Some(false),
    };
    interface.ipv4_address_count = index("SecondaryPrivateIpAddressCount")?;
    interface.ipv4_prefix_count = index("Ipv4PrefixCount")?;
    Ok(interface)
}

/// A field under EC2's name, or that name in camel or snake case; null is none.
pub(crate) fn field<'a>(entry: &'a Value, name: &str) -> Option<&'a Value> {
    let entry = entry.as_object()?;
    // Most fields are in no document: no name is made for those.
    if !entry.keys().any(|key| has_letters_of(key, name)) {
        return None;
    }
    let camel = || {
        let mut camel = name.to_owned();
        camel.get_mut(..1)?.make_ascii_lowercase();
        entry.get(&camel)
    };
    let found = entry.get(name).or_else(camel).or_else(|| {
        // ACK's spelling: `subnetID`, `securityGroupIDs`.
        let stem = name
            .strip_suffix("Id")
            .or_else(|| name.strip_suffix("Ids"))?;
        let mut camel = format!("{stem}ID{}", if name.ends_with('s') { "s" } else { "" });
        camel.get_mut(..1)?.make_ascii_lowercase();
        entry.get(&camel)
    });
    found
        .or_else(|| entry.get(&snake_case(name)))
        .filter(|value| !value.is_null())
}

/// Whether a key is a name in any spelling: its letters in any case, and underscores between.
pub(crate) fn has_letters_of(key: &str, name: &str) -> bool {
    let mut letters = name.bytes().filter(|byte| *byte != b'_');
    let same = |byte: u8| {
        letters
            .next()
            .is_some_and(|own| own.eq_ignore_ascii_case(&byte))
    };
    key.bytes().filter(|byte| *byte != b'_').all(same) && letters.next().is_none()
}

/// `NetworkCardIndex` as `network_card_index`.
pub(crate) fn snake_case(name: &str) -> String {
    // AWS's one name with a run of capitals here.
    let name = &name.replace("AAAA", "Aaaa");
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_spelling_reads_alike() {
        let expected = NetworkInterface::new(3, 1, InterfaceType::EfaOnly);
        for entry in [
            json!({"NetworkCardIndex": 3, "DeviceIndex": 1, "InterfaceType": "efa-only"}),
            json!({"networkCardIndex": 3, "deviceIndex": 1, "interfaceType": "efa-only"}),
            json!({"network_card_index": "3", "device_index": 1, "interface_type": "efa-only"}),
        ] {
            assert_eq!(
                read_interfaces(&[entry]).unwrap(),
                std::slice::from_ref(&expected)
            );
        }
        let lone = read_interfaces(&[json!({"DeviceIndex": 0})]).unwrap();
        assert_eq!(lone[0].interface_type, InterfaceType::Interface);
        assert_eq!(lone[0].associate_public_ip_address, None);
    }

    #[test]
    fn malformed_entries_are_named() {
        for (entry, message) in [
            (json!("efa"), "\"efa\" is not an interface"),
            (json!({"InterfaceType": "efa"}), "DeviceIndex is missing"),
            (
                json!({"DeviceIndex": -1}),
                "DeviceIndex is -1, must be a number from 0",
            ),
            (
                json!({"DeviceIndex": 0, "InterfaceType": 3}),
                "InterfaceType is 3, must be text",
            ),
        ] {
            let error = read_interfaces(&[json!({"DeviceIndex": 0}), entry]).unwrap_err();
            assert_eq!((error.at, error.message.as_str()), (1, message));
        }
    }
}
