//! EC2's words for the interfaces that it refuses; the rules are our own layout's.

use super::refusal::{Answer, refusal};
use crate::catalog::InstanceType;
use crate::error::Code;
use crate::layout::{NetworkInterface, violations};

/// Refuses what breaks a rule of layouts, in EC2's order of looking.
pub(super) fn check_interfaces(t: &InstanceType, interfaces: &[NetworkInterface]) -> Answer<()> {
    let found = violations(t, interfaces);
    let Some(first) = found.iter().min_by_key(|violation| rank(violation.code)) else {
        return Ok(());
    };
    let code = ec2_code(first.code);
    Err(refusal(code, first.message.clone()))
}

/// EC2 looks at the request by itself first, then at each card, then at the counts.
fn rank(code: Code) -> u32 {
    match code {
        Code::LayoutEfaOnlyWithIp => 0,
        Code::LayoutPrimaryMissing => 1,
        Code::LayoutDuplicateInterface => 2,
        Code::LayoutPublicIpWithSeveralInterfaces => 3,
        Code::LayoutEfaNotSupported => 4,
        Code::LayoutUnknownNetworkCard => 5,
        Code::LayoutDeviceIndexOutOfRange => 6,
        Code::LayoutInterfaceTypeNotAccepted => 7,
        Code::LayoutSeveralEfaPerCard => 8,
        Code::LayoutTooManyEfa => 9,
        _ => 10,
    }
}

fn ec2_code(code: Code) -> &'static str {
    match code {
        Code::LayoutPublicIpWithSeveralInterfaces | Code::LayoutPrimaryEfaOnly => {
            "InvalidParameterCombination"
        }
        Code::LayoutEfaNotSupported => "UnsupportedOperation",
        Code::LayoutInterfaceTypeNotAccepted
        | Code::LayoutSeveralEfaPerCard
        | Code::LayoutTooManyEfa => "AttachmentLimitExceeded",
        _ => "InvalidParameterValue",
    }
}
