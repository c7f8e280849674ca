#![no_main]
//! The packets and descriptors that a soft EFA device reads: any bytes, no panic, lengths that hold, and
//! what was accepted is read again as the same.
use efa_soft::capability::MTU;
use efa_soft::descriptor::{RX_SIZE, TX_SIZE, receive, request};
use efa_soft::wire::{HEADER, Header, Kind, MAX_ACKS, acks};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((header, payload)) = Header::parse(bytes) {
        assert_eq!(payload.len(), bytes.len() - HEADER);
        assert!(payload.len() <= MTU && header.len as usize <= MTU);
        if header.kind == Kind::Ack {
            assert!(header.len as usize <= MAX_ACKS);
            assert_eq!(acks(payload).count(), header.len as usize);
        }
        let again = [&header.encode()[..], payload].concat();
        assert_eq!(Header::parse(&again), Some((header, payload)));
    }
    if let Some(entry) = bytes.first_chunk::<TX_SIZE>() {
        let read = request(entry);
        assert!(read.buffers.1 <= read.buffers.0.len());
        assert!(read.inline.is_none_or(|(data, len)| len <= data.len()));
    }
    if let Some(entry) = bytes.first_chunk::<RX_SIZE>() {
        assert!(receive(entry).1.lkey < 1 << 24);
    }
});
