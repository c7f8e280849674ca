use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::ec2::InstanceState;
use crate::fixtures::instance;
use crate::testing::PausedClock;

const S: Duration = Duration::from_secs(1);

/// What a node does, in time since the fake was made or since the script was sent.
#[derive(Debug, Clone)]
struct Node {
    online_after: Duration,
    ends_after: Duration,
    end: CommandStatus,
    details: &'static str,
    exit_code: i32,
    stdout: String,
    stderr: String,
}

impl Node {
    fn ends(end: CommandStatus, exit_code: i32) -> Self {
        Self {
            online_after: Duration::ZERO,
            ends_after: 3 * S,
            end,
            details: "",
            exit_code,
            stdout: "hello\n".to_owned(),
            stderr: String::new(),
        }
    }

    fn succeeds() -> Self {
        Self::ends(CommandStatus::Success, 0)
    }
}

/// An SSM on a clock that does not run. It answers about every instance in any command, as moto does.
#[derive(Debug)]
struct Fake {
    clock: PausedClock,
    nodes: BTreeMap<String, Node>,
    /// SSM shows nothing of a command for so long.
    hidden_for: Duration,
    /// GetCommandInvocation lags so far behind the list.
    lag: Duration,
    /// This many polls fail before one succeeds.
    failing_polls: Mutex<u32>,
    /// The call with this text fails for good.
    broken: Option<&'static str>,
    sent_at: Mutex<Vec<Duration>>,
    cancelled: Mutex<BTreeMap<String, Duration>>,
    calls: Mutex<Vec<String>>,
}

impl Fake {
    fn new(nodes: &[(&str, Node)]) -> Self {
        let nodes = nodes.iter();
        Self {
            clock: PausedClock::new(),
            nodes: nodes.map(|(id, n)| ((*id).to_owned(), n.clone())).collect(),
            hidden_for: Duration::ZERO,
            lag: Duration::ZERO,
            failing_polls: Mutex::new(0),
            broken: None,
            sent_at: Mutex::default(),
            cancelled: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    fn call(&self, call: String) -> Result<()> {
        let broken = self.broken.is_some_and(|broken| call.starts_with(broken));
        self.calls.lock().unwrap().push(call);
        if broken {
            return Err(Error::new(Code::Ec2Refused, "refused"));
        }
        Ok(())
    }

    fn calls(&self, name: &str) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        let calls = calls.iter().filter(|call| call.starts_with(name));
        calls.cloned().collect()
    }

    fn age(&self, command_id: &str) -> Duration {
        let n: usize = command_id.strip_prefix("cmd-").unwrap().parse().unwrap();
        self.clock.now() - self.sent_at.lock().unwrap()[n]
    }

    fn status(&self, command_id: &str, node: &Node, age: Duration) -> CommandStatus {
        if age >= node.ends_after {
            return node.end.clone();
        }
        match self.cancelled.lock().unwrap().get(command_id) {
            Some(at) if self.clock.now() - *at >= 2 * S => CommandStatus::Cancelled,
            Some(_) => CommandStatus::Cancelling,
            None => CommandStatus::InProgress,
        }
    }
}

#[async_trait]
impl Ssm for Fake {
    async fn get_parameter(&self, _: &str) -> Result<Option<String>> {
        unreachable!()
    }

    async fn online_instances(&self, ids: &[String]) -> Result<Vec<String>> {
        assert!(!ids.is_empty(), "that would ask for every instance");
        self.call(format!("online {}", ids.join(" ")))?;
        let online = |id: &&String| self.nodes[*id].online_after <= self.clock.now();
        Ok(ids.iter().filter(online).cloned().collect())
    }

    async fn send_command(
        &self,
        ids: &[String],
        script: &str,
        timeout: Duration,
    ) -> Result<String> {
        assert!((1..=50).contains(&ids.len()));
        let mut sent = self.sent_at.lock().unwrap();
        let id = format!("cmd-{}", sent.len());
        self.call(format!("send {id} {script} {timeout:?} {}", ids.join(" ")))?;
        sent.push(self.clock.now());
        Ok(id)
    }

    async fn list_command_invocations(&self, id: &str) -> Result<Vec<(String, CommandStatus)>> {
        self.call(format!("list {id}"))?;
        let mut failing = self.failing_polls.lock().unwrap();
        if *failing > 0 {
            *failing -= 1;
            return Err(Error::new(Code::Ec2Refused, "slow down").retryable(true));
        }
        let age = self.age(id);
        if age < self.hidden_for {
            return Ok(Vec::new());
        }
        let nodes = self.nodes.iter();
        Ok(nodes
            .map(|(instance, node)| (instance.clone(), self.status(id, node, age)))
            .collect())
    }

    async fn get_command_invocation(
        &self,
        id: &str,
        instance_id: &str,
    ) -> Result<CommandInvocation> {
        self.call(format!("get {id} {instance_id}"))?;
        let age = self.age(id).saturating_sub(self.lag);
        if age < self.hidden_for {
            return Err(Error::new(Code::Ec2Refused, "not there")
                .with_context("ec2_code", "InvocationDoesNotExist"));
        }
        let node = &self.nodes[instance_id];
        let status = self.status(id, node, age);
        let ended = status == node.end && status != CommandStatus::InProgress;
        Ok(CommandInvocation {
            instance_id: instance_id.to_owned(),
            status_details: if ended { node.details } else { "" }.to_owned(),
            status,
            exit_code: ended.then_some(node.exit_code),
            stdout: node.stdout.clone(),
            stderr: node.stderr.clone(),
        })
    }

    async fn cancel_command(&self, id: &str) -> Result<()> {
        self.call(format!("cancel {id}"))?;
        self.cancelled
            .lock()
            .unwrap()
            .insert(id.to_owned(), self.clock.now());
        Ok(())
    }
}

fn cluster(ids: &[&str]) -> Cluster {
    Cluster {
        name: "train".to_owned(),
        region: "us-east-1".to_owned(),
        instances: (0..).zip(ids).map(|(n, id)| instance(id, n)).collect(),
        security_group: None,
        placement_group: None,
    }
}

async fn run_on(fake: &Fake, cluster: &Cluster, script: &str) -> Result<Report> {
    run_script(
        fake,
        &fake.clock,
        cluster,
        script,
        &Options::default(),
        &|_| {},
    )
    .await
}

async fn run_all(fake: &Fake) -> Result<Report> {
    let ids: Vec<&str> = fake.nodes.keys().map(String::as_str).collect();
    run_on(fake, &cluster(&ids), "true").await
}

#[tokio::test]
async fn every_node_runs_the_script_and_its_output_comes_back() {
    let mut late = Node::succeeds();
    late.online_after = 40 * S;
    late.stdout = "late\n".to_owned();
    let fake = Fake::new(&[("i-a", late), ("i-b", Node::succeeds())]);
    let events = Mutex::new(Vec::new());
    let report = run_script(
        &fake,
        &fake.clock,
        &cluster(&["i-b", "i-a"]),
        "echo hello",
        &Options::default(),
        &|event| events.lock().unwrap().push(event.to_string()),
    )
    .await
    .unwrap();
    assert!(report.succeeded(), "{report}");
    let outputs: Vec<_> = report
        .nodes
        .iter()
        .map(|n| (&*n.instance_id, &*n.stdout))
        .collect();
    assert_eq!(outputs, [("i-b", "hello\n"), ("i-a", "late\n")]);
    assert_eq!(report.nodes[0].exit_code, Some(0));
    assert_eq!(report.command_ids, ["cmd-0"]);
    // Sent once, when both agents were online; the late one alone was asked for again.
    assert_eq!(fake.calls("send"), ["send cmd-0 echo hello 600s i-b i-a"]);
    assert_eq!(fake.calls("online")[..2], ["online i-b i-a", "online i-a"]);
    assert_eq!(fake.calls("get").len(), 2);
    assert!(fake.calls("cancel").is_empty());
    let events = events.into_inner().unwrap();
    assert_eq!(
        events[0],
        "waiting for instance train (1 of 2 SSM agents online)"
    );
    assert!(
        events.contains(&"created command cmd-0 (2 instances)".to_owned()),
        "{events:?}"
    );
    let text = "script on cluster 'train': success on 2 of 2 nodes\n  i-b 10.0.0.0 success\n  \
                i-a 10.0.0.1 success\n";
    assert_eq!(report.to_string(), text);
}

#[tokio::test]
async fn looks_grow_apart_to_5_s() {
    let mut node = Node::succeeds();
    node.ends_after = 60 * S;
    let fake = Fake::new(&[("i-a", node)]);
    run_all(&fake).await.unwrap();
    // 0, 0.5, 1.25, 2.4, 4.1, 6.6, 10.4 s, then every 5 s until the one after 60 s.
    assert_eq!(fake.calls("list").len(), 17);
    assert!(fake.clock.now() < 66 * S);
}

#[tokio::test]
async fn nodes_without_an_agent_are_reported_with_the_cure() {
    let mut never = Node::succeeds();
    never.online_after = 3600 * S;
    let fake = Fake::new(&[("i-a", Node::succeeds()), ("i-b", never)]);
    let mut cluster = cluster(&["i-a", "i-b", "i-c"]);
    cluster.instances[2].state = InstanceState::Stopped;
    let report = run_on(&fake, &cluster, "true").await.unwrap();
    let statuses: Vec<NodeStatus> = report.nodes.iter().map(|node| node.status).collect();
    let expected = [
        NodeStatus::Success,
        NodeStatus::NotOnline,
        NodeStatus::NotOnline,
    ];
    assert_eq!(statuses, expected);
    assert_eq!((report.succeeded(), report.failed().len()), (false, 2));
    assert!(
        report.nodes[1]
            .detail
            .contains("AmazonSSMManagedInstanceCore")
    );
    assert_eq!(report.nodes[2].detail, "the instance is stopped");
    assert!(fake.clock.now() >= 300 * S, "waited for the agent");
    assert_eq!(fake.calls("send"), ["send cmd-0 true 600s i-a"]);
}

#[tokio::test]
async fn nothing_is_sent_when_no_agent_can_be_online() {
    let fake = Fake::new(&[]);
    let mut cluster = cluster(&["i-a"]);
    cluster.instances[0].state = InstanceState::ShuttingDown;
    let report = run_on(&fake, &cluster, "true").await.unwrap();
    assert_eq!(report.failed().len(), 1);
    assert!(report.command_ids.is_empty() && fake.calls("").is_empty());
}

#[tokio::test]
async fn at_the_deadline_the_script_is_cancelled() {
    let mut slow = Node::succeeds();
    slow.ends_after = 3600 * S;
    slow.stdout = "half".to_owned();
    let mut at_last = Node::succeeds();
    at_last.ends_after = 601 * S;
    let fake = Fake::new(&[("i-a", Node::succeeds()), ("i-b", slow), ("i-c", at_last)]);
    let report = run_all(&fake).await.unwrap();
    let [done, slow, at_last] = &report.nodes[..] else {
        panic!("{report}");
    };
    assert_eq!(done.status, NodeStatus::Success);
    assert_eq!(
        (slow.status, slow.exit_code),
        (NodeStatus::NotFinished, None)
    );
    assert_eq!(
        (&*slow.stdout, &*slow.detail),
        ("half", "cancelled after 600 s")
    );
    // It ended between the deadline and the cancellation: that is what happened.
    assert_eq!(at_last.status, NodeStatus::Success);
    assert_eq!(fake.calls("cancel"), ["cancel cmd-0"]);
    let cancelled_at = fake.cancelled.lock().unwrap()["cmd-0"];
    assert_eq!(cancelled_at, 600 * S);
    assert!(fake.clock.now() < 615 * S);
}

#[tokio::test]
async fn a_node_that_hangs_even_after_the_cancellation_ends_the_wait() {
    let mut hangs = Node::ends(CommandStatus::InProgress, 0);
    hangs.ends_after = Duration::ZERO;
    let fake = Fake::new(&[("i-a", hangs)]);
    let report = run_all(&fake).await.unwrap();
    assert_eq!(report.nodes[0].status, NodeStatus::NotFinished);
    assert!(fake.clock.now() <= 620 * S);
}

#[tokio::test]
async fn ends_are_distinguished() {
    let mut undeliverable = Node::ends(CommandStatus::Failed, -1);
    undeliverable.details = "Undeliverable";
    let fake = Fake::new(&[
        ("i-0", Node::ends(CommandStatus::Failed, 7)),
        ("i-1", Node::ends(CommandStatus::TimedOut, 137)),
        ("i-2", Node::ends(CommandStatus::Cancelled, 1)),
        ("i-3", undeliverable),
    ]);
    let report = run_all(&fake).await.unwrap();
    let statuses: Vec<_> = report
        .nodes
        .iter()
        .map(|n| (n.status, n.exit_code))
        .collect();
    let expected = [
        (NodeStatus::Failed, Some(7)),
        (NodeStatus::TimedOut, Some(137)),
        (NodeStatus::Cancelled, Some(1)),
        (NodeStatus::Failed, Some(-1)),
    ];
    assert_eq!(statuses, expected);
    let text = report.to_string();
    assert!(
        text.contains("  i-0 10.0.0.0 failed, exit code 7\n    stdout: hello\n"),
        "{text}"
    );
    assert!(
        text.contains("i-3 10.0.0.3 failed, exit code -1: Undeliverable"),
        "{text}"
    );
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    assert!(json.contains("timed-out"), "{json}");
}

#[tokio::test]
async fn cut_outputs_are_marked() {
    let cut = |stdout: usize, stderr: &str| {
        let mut node = Node::ends(CommandStatus::Failed, 1);
        (node.stdout, node.stderr) = ("x".repeat(stdout), stderr.to_owned());
        node
    };
    let fake = Fake::new(&[
        ("i-0", cut(23_999, &"y".repeat(7_999))),
        ("i-1", cut(24_000, "")),
        ("i-2", cut(0, &"y".repeat(8_000))),
        ("i-3", cut(0, "ü\n--output truncated--")),
        ("i-4", cut(0, &"<line>\n".repeat(25))),
    ]);
    let report = run_all(&fake).await.unwrap();
    let cut: Vec<bool> = report.nodes.iter().map(|node| node.truncated).collect();
    assert_eq!(cut, [false, true, true, true, false]);
    let text = report.nodes[4].to_string();
    assert!(text.contains("  stderr: (5 lines before)\n"), "{text}");
    assert_eq!(text.matches("stderr: <line>\n").count(), 20);
    assert!(report.nodes[1].to_string().contains("SSM cut the output"));
    assert!(report.to_html().contains("stderr: &lt;line&gt;"));
}

#[tokio::test]
async fn what_ssm_does_not_show_yet_is_asked_for_again() {
    let mut fake = Fake::new(&[("i-a", Node::succeeds()), ("i-b", Node::succeeds())]);
    fake.hidden_for = 5 * S;
    fake.lag = 2 * S;
    *fake.failing_polls.lock().unwrap() = 2;
    let report = run_all(&fake).await.unwrap();
    assert!(report.succeeded(), "{report}");
    assert!(fake.calls("get cmd-0 i-a").len() > 1);

    // Old enough for the list, behind in GetCommandInvocation: ended, not NotFinished.
    let mut fake = Fake::new(&[("i-a", Node::succeeds())]);
    fake.lag = 4 * S;
    assert!(run_all(&fake).await.unwrap().succeeded());

    let mut fake = Fake::new(&[("i-a", Node::succeeds())]);
    fake.hidden_for = 3600 * S;
    let report = run_all(&fake).await.unwrap();
    assert_eq!(report.nodes[0].status, NodeStatus::NotFinished, "{report}");
}

#[tokio::test]
async fn many_nodes_go_in_batches_of_50() {
    let ids: Vec<String> = (0..120).map(|n| format!("i-{n:03}")).collect();
    let nodes: Vec<(&str, Node)> = ids.iter().map(|id| (&**id, Node::succeeds())).collect();
    let fake = Fake::new(&nodes);
    let report = run_all(&fake).await.unwrap();
    assert!(report.succeeded());
    assert_eq!(report.command_ids, ["cmd-0", "cmd-1", "cmd-2"]);
    let sizes: Vec<usize> = fake
        .calls("send")
        .iter()
        .map(|call| {
            call.split(' ')
                .filter(|word| word.starts_with("i-"))
                .count()
        })
        .collect();
    assert_eq!(sizes, [50, 50, 20]);
    assert_eq!(fake.calls("get").len(), 120);
    assert_eq!(fake.calls("get cmd-2 i-119").len(), 1);
}

#[tokio::test]
async fn commands_that_ended_are_not_looked_at_again() {
    let ids: Vec<String> = (0..51).map(|n| format!("i-{n:03}")).collect();
    let mut nodes: Vec<(&str, Node)> = ids.iter().map(|id| (&**id, Node::succeeds())).collect();
    nodes[50].1.ends_after = 60 * S;
    let fake = Fake::new(&nodes);
    assert!(run_all(&fake).await.unwrap().succeeded());
    let looks = |id| fake.calls(&format!("list {id}")).len();
    assert_eq!((looks("cmd-0"), looks("cmd-1")), (5, 17));
}

#[tokio::test]
async fn a_failed_call_cancels_what_was_sent() {
    let ids: Vec<String> = (0..51).map(|n| format!("i-{n:03}")).collect();
    let nodes: Vec<(&str, Node)> = ids.iter().map(|id| (&**id, Node::succeeds())).collect();
    for broken in ["send cmd-1", "list"] {
        let mut fake = Fake::new(&nodes);
        fake.broken = Some(broken);
        let error = run_all(&fake).await.unwrap_err();
        assert!(error.may_have_changed_aws());
        assert!(
            error
                .context_value("command_ids")
                .unwrap()
                .starts_with("cmd-0")
        );
        assert_eq!(fake.calls("cancel")[0], "cancel cmd-0", "{broken}");
    }
    let mut fake = Fake::new(&nodes);
    fake.broken = Some("online");
    let error = run_all(&fake).await.unwrap_err();
    assert!(!error.may_have_changed_aws() && fake.calls("cancel").is_empty());
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_any_call() {
    let with = |deadline, wait_online| Options {
        deadline,
        wait_online,
    };
    let fine = Options::default();
    let long = "x".repeat(65_537);
    for (script, options, field, text) in [
        ("", fine, "script", "script is empty"),
        (" \n\t", fine, "script", "script is empty"),
        ("echo \0", fine, "script", "a NUL at byte 5"),
        (
            &long,
            fine,
            "script",
            "65537 bytes long, must be at most 65536",
        ),
        (
            "true",
            with(S / 2, S),
            "deadline",
            "is 0.5 s, must be 1 to 172800 s",
        ),
        ("true", with(200_000 * S, S), "deadline", "is 200000 s"),
        (
            "true",
            with(S, Duration::MAX),
            "wait_online",
            "must be 0 to 172800 s",
        ),
    ] {
        let fake = Fake::new(&[("i-a", Node::succeeds())]);
        let error = run_script(
            &fake,
            &fake.clock,
            &cluster(&["i-a"]),
            script,
            &options,
            &|_| {},
        )
        .await
        .unwrap_err();
        assert_eq!(error.code(), Code::PlanInvalidSpec);
        assert_eq!(error.context_value("field"), Some(field));
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.cure().is_some() && fake.calls("").is_empty());
    }
    let fake = Fake::new(&[("i-a", Node::succeeds())]);
    let report = run_on(&fake, &cluster(&["i-a"]), &long[1..]).await;
    assert!(report.unwrap().succeeded());
}
