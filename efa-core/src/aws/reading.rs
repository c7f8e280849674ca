//! Answers that [`crate::answer`] reads: the SDK gets an empty document of the same name in their place.
//!
//! What this crate cannot read goes on to the SDK as it came, whose error then states what it is.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use aws_sdk_ec2::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame};

use crate::answer::{Answer, Page, present};
use crate::error::Result;

/// Reads the answer to one call. Clones are of the same call.
pub(super) struct Reading<T: 'static> {
    answer: &'static Answer<T>,
    page: Arc<Mutex<Option<Result<Page<T>>>>>,
}

impl<T> Reading<T> {
    pub(super) fn new(answer: &'static Answer<T>) -> Self {
        Self {
            answer,
            page: Arc::default(),
        }
    }

    /// What was in the answer, once the call has ended well.
    pub(super) fn page(&self) -> Result<Page<T>> {
        present(self.slot().take(), "the document that it should be")?
    }

    fn slot(&self) -> MutexGuard<'_, Option<Result<Page<T>>>> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the SDK is to read in the place of a whole body.
    fn read(&self, body: Vec<u8>) -> Bytes {
        let page = self.answer.read(&body);
        let is_read = page.is_some();
        *self.slot() = page;
        if is_read {
            Bytes::from(self.answer.empty())
        } else {
            Bytes::from(body)
        }
    }
}

impl<T> Clone for Reading<T> {
    fn clone(&self) -> Self {
        Self {
            answer: self.answer,
            page: Arc::clone(&self.page),
        }
    }
}

impl<T> fmt::Debug for Reading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

impl<T: Send> Intercept for Reading<T> {
    fn name(&self) -> &'static str {
        "read the answer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _runtime: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        // Every other status is an error, which the SDK reads.
        if response.status().as_u16() == 200 {
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            *response.body_mut() = SdkBody::from_body_1_x(ReadBody {
                reading: self.clone(),
                body: Some(body),
                read: Vec::new(),
            });
        }
        Ok(())
    }
}

/// A body that comes as a whole, and as what the reading makes of it.
struct ReadBody<T: 'static> {
    reading: Reading<T>,
    /// Until its end.
    body: Option<SdkBody>,
    read: Vec<u8>,
}

impl<T: Send> Body for ReadBody<T> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        while let Some(body) = &mut this.body {
            match Pin::new(body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        this.read.extend_from_slice(data);
                    }
                }
                Poll::Ready(None) => {
                    this.body = None;
                    let read = this.reading.read(std::mem::take(&mut this.read));
                    return Poll::Ready(Some(Ok(Frame::data(read))));
                }
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::byte_stream::ByteStream;

    use super::*;
    use crate::answer::OFFERINGS;
    use crate::ec2::Offering;

    async fn through(text: &'static str) -> (String, Result<Page<Offering>>) {
        let reading = Reading::new(&OFFERINGS);
        let body = SdkBody::from_body_1_x(ReadBody {
            reading: reading.clone(),
            body: Some(SdkBody::from(text)),
            read: Vec::new(),
        });
        let left = ByteStream::new(body).collect().await.unwrap().to_vec();
        (String::from_utf8(left).unwrap(), reading.page())
    }

    #[tokio::test]
    async fn the_sdk_reads_an_empty_document_in_the_place_of_an_answer() {
        let (left, page) = through(
            "<DescribeInstanceTypeOfferingsResponse><instanceTypeOfferingSet><item>\
             <instanceType>p5.48xlarge</instanceType><location>us-east-1a</location></item>\
             </instanceTypeOfferingSet></DescribeInstanceTypeOfferingsResponse>",
        )
        .await;
        let name = "DescribeInstanceTypeOfferingsResponse";
        assert_eq!(left, format!("<{name}></{name}>"));
        assert_eq!(page.unwrap().items[0].availability_zone, "us-east-1a");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_left_to_the_sdk() {
        for text in ["", "<html/>", "<DescribeInstanceTypeOfferingsResponse>"] {
            let (left, page) = through(text).await;
            assert_eq!(left, text);
            assert_eq!(page.unwrap_err().code().as_str(), "ec2.unexpected_answer");
        }
    }
}
