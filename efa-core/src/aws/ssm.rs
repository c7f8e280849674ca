//! [`Ssm`] over aws-sdk-ssm.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_ssm::types as sdk;

use super::call::{call, read_pages};
use super::convert::present;
use super::errors::absent;
use super::request::{built, number};
use super::sdk::AwsSdk;
use crate::error::Result;
use crate::ssm::{CommandInvocation, CommandStatus, Ssm};

/// The largest page, and the most instances of one call.
const PAGE: i32 = 50;
const BATCH: usize = 50;
/// The largest page of GetParametersByPath, and how many of them are read.
const PARAMETERS_PAGE: i32 = 10;
const PARAMETER_PAGES: usize = 20;
/// How long a command may wait for its instance, in seconds: what SSM accepts.
const DELIVERY: (u64, u64) = (30, 2_592_000);
/// How long a command may run, in seconds: what AWS-RunShellScript accepts.
const EXECUTION: (u64, u64) = (1, 172_800);

fn within((least, most): (u64, u64), timeout: Duration) -> u64 {
    timeout.as_secs().clamp(least, most)
}

fn status(status: Option<sdk::CommandInvocationStatus>) -> Result<CommandStatus> {
    Ok(CommandStatus::from(present(status, "Status")?.as_str()))
}

fn invocation(invocation: sdk::CommandInvocation) -> Result<(String, CommandStatus)> {
    Ok((
        present(invocation.instance_id, "InstanceId")?,
        status(invocation.status)?,
    ))
}

#[async_trait]
impl Ssm for AwsSdk {
    async fn get_parameter(&self, parameter: &str) -> Result<Option<String>> {
        let answer = absent(
            call!(self.ssm.get_parameter, name(parameter)),
            "ParameterNotFound",
        )?;
        Ok(answer.and_then(|answer| answer.parameter?.value))
    }

    async fn parameters_below(&self, above: &str) -> Result<Vec<String>> {
        let (mut names, mut next) = (Vec::new(), None);
        for _ in 0..PARAMETER_PAGES {
            let page = call!(
                self.ssm.get_parameters_by_path,
                path(above),
                max_results(PARAMETERS_PAGE),
                set_next_token(next)
            )?;
            let found = page.parameters.unwrap_or_default();
            names.extend(found.into_iter().filter_map(|one| one.name));
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        Ok(names)
    }

    async fn online_instances(&self, ids: &[String]) -> Result<Vec<String>> {
        let mut online = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let by_id = sdk::InstanceInformationStringFilter::builder()
                .key("InstanceIds")
                .set_values(Some(batch.to_vec()))
                .build();
            let by_id = built(by_id, "instance_ids")?;
            let found: Result<Vec<sdk::InstanceInformation>> = read_pages!(
                self.ssm.describe_instance_information,
                Ok,
                set_filters(Some(vec![by_id])),
                max_results(PAGE)
            );
            online.extend(
                found?
                    .into_iter()
                    .filter(|instance| instance.ping_status == Some(sdk::PingStatus::Online))
                    .filter_map(|instance| instance.instance_id),
            );
        }
        Ok(online)
    }

    async fn send_command(
        &self,
        ids: &[String],
        script: &str,
        timeout: Duration,
    ) -> Result<String> {
        let delivery = number("timeout", within(DELIVERY, timeout))?;
        let answer = call!(
            self.ssm.send_command,
            document_name("AWS-RunShellScript"),
            set_instance_ids(Some(ids.to_vec())),
            parameters("commands", vec![script.to_owned()]),
            parameters(
                "executionTimeout",
                vec![within(EXECUTION, timeout).to_string()]
            ),
            timeout_seconds(delivery)
        )?;
        let command = present(answer.command, "Command")?;
        present(command.command_id, "CommandId")
    }

    async fn list_command_invocations(&self, id: &str) -> Result<Vec<(String, CommandStatus)>> {
        read_pages!(
            self.ssm.list_command_invocations,
            invocation,
            command_id(id),
            max_results(PAGE)
        )
    }

    async fn get_command_invocation(
        &self,
        command: &str,
        instance: &str,
    ) -> Result<CommandInvocation> {
        let answer = call!(
            self.ssm.get_command_invocation,
            command_id(command),
            instance_id(instance)
        )?;
        Ok(CommandInvocation {
            instance_id: present(answer.instance_id, "InstanceId")?,
            status: status(answer.status)?,
            status_details: answer.status_details.unwrap_or_default(),
            // -1 until the command has ended on the instance.
            exit_code: (answer.response_code >= 0).then_some(answer.response_code),
            stdout: answer.standard_output_content.unwrap_or_default(),
            stderr: answer.standard_error_content.unwrap_or_default(),
        })
    }

    async fn cancel_command(&self, id: &str) -> Result<()> {
        call!(self.ssm.cancel_command, command_id(id)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_stay_within_what_ssm_accepts() {
        assert_eq!(within(DELIVERY, Duration::from_secs(1)), 30);
        assert_eq!(within(DELIVERY, Duration::from_secs(600)), 600);
        assert_eq!(within(EXECUTION, Duration::ZERO), 1);
        assert_eq!(within(EXECUTION, Duration::MAX), 172_800);
    }
}
