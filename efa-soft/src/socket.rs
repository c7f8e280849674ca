//! The UDP socket that a queue pair is: its number is the port, the address is that of the GID.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use crate::capability::{MAX_QP, MTU};
use crate::tick;

/// The first port; device `i` of a host has `MAX_QP` ports from `FIRST_PORT + i * MAX_QP` on.
pub(crate) const FIRST_PORT: u32 = 16_384;
/// Packets read at once.
pub(crate) const BATCH: usize = 16;
const SLOT: usize = MTU + 512;
/// Wanted buffers. Without root the kernel gives less, and the window of the sender adapts.
const BUFFER: libc::c_int = 32 << 20;

/// Where packets are read to.
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    found: Vec<(SocketAddrV4, usize)>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; BATCH * SLOT],
            found: Vec::with_capacity(BATCH),
        }
    }

    /// Packet `at` of the last batch.
    pub(crate) fn packet(&self, at: usize) -> (SocketAddrV4, &[u8]) {
        let (from, len) = self.found[at];
        (from, &self.bytes[at * SLOT..at * SLOT + len])
    }
}

/// Whether a queue pair with this number can be one of device `index`.
pub(crate) fn is_port_of(number: u32, index: u8) -> bool {
    let first = FIRST_PORT + u32::from(index) * MAX_QP;
    (first..first + MAX_QP).contains(&number)
}

/// A bound socket.
pub(crate) struct Socket {
    inner: UdpSocket,
}

impl Socket {
    /// Binds the first free port of the device, from a random one on: numbers differ modulo
    /// `MAX_QP` within a device, since libfabric keeps queue pairs in a table of that size.
    pub(crate) fn bind(ip: Ipv4Addr, index: u8) -> io::Result<(Self, u32)> {
        let start = (tick::random() % u64::from(MAX_QP)) as u32;
        let mut last = io::Error::from_raw_os_error(libc::ENOMEM);
        for step in 0..MAX_QP {
            let number = FIRST_PORT + u32::from(index) * MAX_QP + (start + step) % MAX_QP;
            let port = u16::try_from(number).unwrap_or(0);
            match UdpSocket::bind(SocketAddrV4::new(ip, port)) {
                Ok(inner) => {
                    inner.set_nonblocking(true)?;
                    let socket = Self { inner };
                    socket.enlarge();
                    return Ok((socket, number));
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn enlarge(&self) {
        let set = |level, name, value: libc::c_int| {
            // SAFETY: an open socket, and an integer of the size that is named.
            unsafe {
                libc::setsockopt(
                    self.fd(),
                    level,
                    name,
                    (&raw const value).cast(),
                    size_of::<libc::c_int>() as libc::socklen_t,
                )
            }
        };
        for (forced, plain) in [
            (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
            (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        ] {
            if set(libc::SOL_SOCKET, forced, BUFFER) != 0 {
                set(libc::SOL_SOCKET, plain, BUFFER);
            }
        }
        set(libc::IPPROTO_IP, libc::IP_RECVERR, 1);
    }

    pub(crate) fn fd(&self) -> libc::c_int {
        self.inner.as_raw_fd()
    }

    /// Sends a packet whose pieces may be anything's memory: the kernel reads them, so that a piece
    /// that was unmapped loses the packet instead of ending the process. False for such a piece.
    pub(crate) fn send(&self, to: SocketAddrV4, pieces: &mut [libc::iovec]) -> bool {
        let mut name = c_address(to);
        // SAFETY: all-zero bytes are a valid msghdr: null pointers and lengths 0.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_name = (&raw mut name).cast();
        message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        message.msg_iov = pieces.as_mut_ptr();
        message.msg_iovlen = pieces.len() as _;
        // The first call may give back the error of an earlier packet (ICMP) instead of sending.
        for _ in 0..2 {
            // SAFETY: name and iovec array live through the call; the kernel checks what the iovecs
            // point to, and reads only.
            let sent = unsafe {
                libc::sendmsg(
                    self.fd(),
                    &raw const message,
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            };
            if sent >= 0 {
                return true;
            }
            if io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT) {
                return false;
            }
        }
        true
    }

    /// Reads up to [`BATCH`] packets; an error that is not "nothing there" is for
    /// [`Socket::unreachable`].
    pub(crate) fn receive(&self, inbox: &mut Inbox) -> io::Result<usize> {
        inbox.found.clear();
        // SAFETY: all-zero bytes are valid for these plain C structs.
        let mut names: [libc::sockaddr_in; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut iovecs: [libc::iovec; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for (at, slot) in inbox.bytes.chunks_exact_mut(SLOT).enumerate() {
            iovecs[at] = libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: SLOT,
            };
            let header = &mut messages[at].msg_hdr;
            header.msg_iov = &raw mut iovecs[at];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut names[at]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        }
        // SAFETY: BATCH messages, each with a name, one iovec and a slot of SLOT bytes that live
        // through the call.
        let count = unsafe {
            libc::recvmmsg(
                self.fd(),
                messages.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(0),
                _ => Err(error),
            };
        };
        for (message, name) in messages.iter().zip(&names).take(count) {
            inbox
                .found
                .push((rust_address(name), (message.msg_len as usize).min(SLOT)));
        }
        Ok(count)
    }

    /// The peers that have no such port, by an ICMP error.
    pub(crate) fn unreachable(&self) -> Vec<SocketAddrV4> {
        let mut found = Vec::new();
        loop {
            let (mut control, mut byte) = ([0_u64; 64], [0_u8; 64]);
            // SAFETY: all-zero bytes are valid for these plain C structs.
            let (mut name, mut message): (libc::sockaddr_in, libc::msghdr) =
                unsafe { (zeroed(), zeroed()) };
            let mut piece = libc::iovec {
                iov_base: byte.as_mut_ptr().cast(),
                iov_len: byte.len(),
            };
            message.msg_name = (&raw mut name).cast();
            message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            message.msg_iov = &raw mut piece;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(&control) as _;
            // SAFETY: everything that `message` points to lives through the call.
            let read = unsafe {
                libc::recvmsg(
                    self.fd(),
                    &raw mut message,
                    libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
                )
            };
            if read < 0 {
                return found;
            }
            if refused(&message) {
                found.push(rust_address(&name));
            }
        }
    }
}

/// Whether the control data of an error message mean "connection refused".
fn refused(message: &libc::msghdr) -> bool {
    // SAFETY: the kernel filled the control buffer of `message`, which lives as long as it does;
    // CMSG_FIRSTHDR and CMSG_NXTHDR stay within msg_controllen.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !at.is_null() {
        // SAFETY: not null, so a whole header within the control buffer, which is aligned to it.
        let header = unsafe { &*at };
        if header.cmsg_level == libc::IPPROTO_IP && header.cmsg_type == libc::IP_RECVERR {
            // SAFETY: the data of an IP_RECVERR message begin with a sock_extended_err; unaligned
            // reads are allowed for.
            let error = unsafe {
                libc::CMSG_DATA(at)
                    .cast::<libc::sock_extended_err>()
                    .read_unaligned()
            };
            if error.ee_errno == libc::ECONNREFUSED as u32 {
                return true;
            }
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        at = unsafe { libc::CMSG_NXTHDR(message, at) };
    }
    false
}

fn c_address(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

fn rust_address(address: &libc::sockaddr_in) -> SocketAddrV4 {
    let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
    SocketAddrV4::new(ip, u16::from_be(address.sin_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_two_pairs_differ_modulo_the_table() {
        let (a, first) = Socket::bind(Ipv4Addr::LOCALHOST, 31).expect("a free port");
        let (_b, second) = Socket::bind(Ipv4Addr::LOCALHOST, 31).expect("a free port");
        assert_ne!(first % MAX_QP, second % MAX_QP);
        assert!(is_port_of(first, 31) && !is_port_of(first, 30));
        assert!(a.fd() >= 0);
    }

    #[test]
    fn a_packet_arrives_and_a_port_without_socket_is_named() {
        let (a, number_a) = Socket::bind(Ipv4Addr::LOCALHOST, 30).expect("a free port");
        let (b, number_b) = Socket::bind(Ipv4Addr::LOCALHOST, 30).expect("a free port");
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, number_b as u16);
        let text = *b"hello";
        let piece = || libc::iovec {
            iov_base: text.as_ptr() as *mut _,
            iov_len: text.len(),
        };
        a.send(to, &mut [piece()]);
        let mut inbox = Inbox::new();
        assert_eq!(b.receive(&mut inbox).expect("readable"), 1);
        let from = SocketAddrV4::new(Ipv4Addr::LOCALHOST, number_a as u16);
        assert_eq!(inbox.packet(0), (from, &b"hello"[..]));
        drop(b);
        a.send(to, &mut [piece()]);
        assert!(a.receive(&mut inbox).is_err());
        assert_eq!(a.unreachable(), [to]);
    }

    #[test]
    fn an_address_of_another_host_cannot_be_bound() {
        assert!(Socket::bind(Ipv4Addr::new(192, 0, 2, 1), 0).is_err());
    }
}
