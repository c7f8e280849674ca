//! One call of one service, with its error as one of efa-core.

/// Sends one call: `call!(self.ec2.delete_subnet, subnet_id(id))`.
macro_rules! call {
    ($self:ident.$client:ident.$action:ident $(, $set:ident($($value:expr),+))* $(,)?) => {{
        $crate::aws::pace::wait(&$self.region, stringify!($action)).await;
        let attempts = $crate::aws::attempts::Counted::new();
        $self
            .$client
            .$action()
            $(.$set($($value),+))*
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await
            .map_err(|error| {
                let (action, endpoint) = (stringify!($action), &$self.endpoint);
                $crate::aws::errors::from_sdk(error, action, endpoint, Some(&attempts))
            })
    }};
}

/// Reads all pages of one call and converts every item.
macro_rules! read_pages {
    ($self:ident.$client:ident.$action:ident, $convert:path $(, $set:ident($value:expr))* $(,)?) => {{
        $crate::aws::pace::wait(&$self.region, stringify!($action)).await;
        $self
            .$client
            .$action()
            $(.$set($value))*
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| {
                $crate::aws::errors::from_sdk(error, stringify!($action), &$self.endpoint, None)
            })
            .and_then(|items| items.into_iter().map($convert).collect())
    }};
}

/// Reads all pages of one call with an [`Answer`](crate::answer::Answer) of this crate.
macro_rules! read_answers {
    ($self:ident.$client:ident.$action:ident, $answer:path $(, $set:ident($value:expr))* $(,)?) => {{
        $crate::aws::pace::wait(&$self.region, stringify!($action)).await;
        let mut found = Vec::new();
        let mut next_token: Option<String> = None;
        loop {
            let reading = $crate::aws::reading::Reading::new(&$answer);
            let sent = $self
                .$client
                .$action()
                $(.$set($value))*
                .set_next_token(next_token.clone())
                .customize()
                .interceptor(reading.clone())
                .send()
                .await
                .map_err(|error| {
                    let (action, endpoint) = (stringify!($action), &$self.endpoint);
                    $crate::aws::errors::from_sdk(error, action, endpoint, None)
                });
            let page = match sent.and_then(|_| reading.page()) {
                Ok(page) => page,
                Err(error) => break Err(error),
            };
            found.extend(page.items);
            // The same token again would be asked for ever.
            if page.next_token.is_none() || page.next_token == next_token {
                break Ok(found);
            }
            next_token = page.next_token;
        }
    }};
}

pub(super) use {call, read_answers, read_pages};
