//! Failures of the proxy's own machine, which say nothing about an endpoint.

use std::io::{Error, ErrorKind};

/// Returns whether a connection could not be made for want of something on the proxy's own side:
/// file descriptors, ports, memory, buffers or the permission to connect. That says nothing about
/// the health of the endpoint, so it is no passive failure, and `failover` must not be called.
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use session_affinity::exchange::is_own_side;
/// assert!(is_own_side(&Error::from(ErrorKind::OutOfMemory)));
/// assert!(!is_own_side(&Error::from(ErrorKind::ConnectionRefused)));
/// ```
pub fn is_own_side(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::AddrNotAvailable | ErrorKind::OutOfMemory | ErrorKind::PermissionDenied => true,
        // These have no kind in the standard library yet.
        _ => error.raw_os_error().is_some_and(|code| UNNAMED.contains(&code)),
    }
}

/// ENFILE, EMFILE and ENOBUFS.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNNAMED: [i32; 3] = [23, 24, 105];
/// ENFILE, EMFILE and ENOBUFS.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const UNNAMED: [i32; 3] = [23, 24, 55];
/// WSAEMFILE and WSAENOBUFS.
#[cfg(windows)]
const UNNAMED: [i32; 2] = [10_024, 10_055];
#[cfg(not(any(unix, windows)))]
const UNNAMED: [i32; 0] = [];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_ports_memory_or_permission_is_on_our_side() {
        for kind in
            [ErrorKind::AddrNotAvailable, ErrorKind::OutOfMemory, ErrorKind::PermissionDenied]
        {
            assert!(is_own_side(&kind.into()), "{kind}");
        }
    }

    #[test]
    fn an_endpoint_that_refuses_or_does_not_answer_is_not() {
        use ErrorKind::*;
        for kind in [ConnectionRefused, TimedOut, HostUnreachable, NetworkUnreachable, Other] {
            assert!(!is_own_side(&kind.into()), "{kind}");
        }
    }

    /// ENFILE, EMFILE, EADDRNOTAVAIL, ENOBUFS, ENOMEM, EACCES and EPERM, and a refused connection.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_numbers_of_the_system_are_known() {
        for code in [23, 24, 99, 105, 12, 13, 1] {
            assert!(is_own_side(&Error::from_raw_os_error(code)), "{code}");
        }
        for code in [111, 110, 113, 101, 104] {
            assert!(!is_own_side(&Error::from_raw_os_error(code)), "{code}");
        }
    }
}
