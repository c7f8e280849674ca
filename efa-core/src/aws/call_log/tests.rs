#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span;

use super::*;
use crate::aws::{AwsSdk, ConnectOptions};
use crate::ec2::Ec2;
use crate::iam::Iam;
use crate::ssm::Ssm;

const THROTTLED: &str = "<Response><Errors><Error><Code>RequestLimitExceeded</Code>\
    <Message>slow down</Message></Error></Errors><RequestID>in-the-body</RequestID></Response>";
const KEY_PAIRS: &str = "<DescribeKeyPairsResponse><keySet/></DescribeKeyPairsResponse>";
const NO_ROLE: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code>\
    <Message>none</Message></Error></ErrorResponse>";
const NO_PARAMETER: &str = r#"{"__type":"com.amazonaws.ssm#ParameterNotFound","message":"none"}"#;

/// Answers one request after the other, each on a connection of its own, and ends.
fn serve(answers: Vec<Option<(u16, &'static str)>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, answer) in answers.into_iter().enumerate() {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&stream);
            let Some((status, body)) = answer else {
                continue; // closes the connection without an answer
            };
            let head = format!(
                "HTTP/1.1 {status} Status\r\nContent-Type: text/xml\r\nConnection: close\r\n\
                 x-amzn-RequestId: id-{number}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
        }
    });
    url
}

fn read_request(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}

type Fields = BTreeMap<&'static str, String>;

/// Collects the events of our target.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<Fields>>>);

impl tracing::Subscriber for Collected {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == LOG_TARGET
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Visitor(Fields);
        impl Visit for Visitor {
            fn record_str(&mut self, field: &Field, value: &str) {
                self.0.insert(field.name(), value.to_owned());
            }
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0.insert(field.name(), format!("{value:?}"));
            }
        }
        let mut visitor = Visitor(Fields::new());
        event.record(&mut visitor);
        self.0.lock().unwrap().push(visitor.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Collected {
    /// Service, action, attempt, outcome and request id of each event.
    fn lines(&self) -> Vec<String> {
        let fields = self.0.lock().unwrap();
        let line = |fields: &Fields| {
            assert!(fields["ms"].parse::<u64>().is_ok());
            let names = ["service", "action", "attempt", "outcome", "request_id"];
            names
                .map(|name| fields.get(name).map_or("-", String::as_str))
                .join(" ")
        };
        fields.iter().map(line).collect()
    }
}

async fn connect(answers: Vec<Option<(u16, &'static str)>>) -> AwsSdk {
    AwsSdk::connect(&ConnectOptions::stand_in(serve(answers)))
        .await
        .unwrap()
}

#[tokio::test]
async fn each_attempt_is_logged_with_its_outcome() {
    let aws = connect(vec![
        Some((503, THROTTLED)),
        Some((200, KEY_PAIRS)),
        Some((404, NO_ROLE)),
        Some((400, NO_PARAMETER)),
        Some((403, "<html>sign in</html>")),
        Some((200, "<html>sign in</html>")),
        None,
        Some((200, KEY_PAIRS)),
    ])
    .await;
    let collected = Collected::default();
    let subscriber = tracing::subscriber::set_default(collected.clone());
    aws.describe_key_pairs(&[]).await.unwrap();
    assert!(aws.get_role("efa-nodes").await.unwrap().is_none());
    assert!(aws.get_parameter("/ami").await.unwrap().is_none());
    aws.describe_key_pairs(&[]).await.unwrap_err();
    aws.describe_key_pairs(&[]).await.unwrap_err();
    aws.describe_key_pairs(&[]).await.unwrap();
    drop(subscriber);
    assert_eq!(
        collected.lines(),
        [
            "EC2 DescribeKeyPairs 1 RequestLimitExceeded id-0",
            "EC2 DescribeKeyPairs 2 ok id-1",
            "IAM GetRole 1 NoSuchEntity id-2",
            "SSM GetParameter 1 ParameterNotFound id-3",
            "EC2 DescribeKeyPairs 1 http_403 id-4",
            "EC2 DescribeKeyPairs 1 unexpected_answer id-5",
            "EC2 DescribeKeyPairs 1 unreachable -",
            "EC2 DescribeKeyPairs 2 ok id-7",
        ]
    );
}

#[tokio::test]
async fn a_call_that_is_given_up_is_logged() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // takes connections, answers none
    let url = format!("http://{}", listener.local_addr().unwrap());
    let aws = AwsSdk::connect(&ConnectOptions::stand_in(url))
        .await
        .unwrap();
    let collected = Collected::default();
    let _subscriber = tracing::subscriber::set_default(collected.clone());
    let call = aws.describe_key_pairs(&[]);
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(50), call).await;
    assert!(given_up.is_err());
    assert_eq!(collected.lines(), ["EC2 DescribeKeyPairs 1 abandoned -"]);
}

#[tokio::test]
async fn neither_credentials_nor_parameters_are_logged() {
    let aws = connect(vec![Some((404, NO_ROLE))]).await;
    let collected = Collected::default();
    let _subscriber = tracing::subscriber::set_default(collected.clone());
    aws.get_role("name-of-a-role").await.unwrap();
    let logged = format!("{:?}", collected.0.lock().unwrap());
    assert!(logged.contains("GetRole"), "{logged}");
    for hidden in ["testing", "name-of-a-role", "Signature"] {
        assert!(!logged.contains(hidden), "{hidden} in {logged}");
    }
}
