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

pub(super) use {call, read_pages};
