//! UNIX sockets at paths, of which one that nobody listens at any more is replaced.
//!
//! Never removes anything but a socket, nor one that somebody listens at.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

/// Whoever may enter its directory may connect, as to a port of this host.
const MODE: u32 = 0o666;

/// Listens at a path.
///
/// # Errors
///
/// [`ErrorKind::AddrInUse`] if somebody listens there, [`ErrorKind::AlreadyExists`] if something else is there,
/// and what the system says.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    match bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            remove_stale(path)?;
            bind(path)
        }
        bound => bound,
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The file has no more than this mode and the umask say, from its first moment on.
    fchmod(socket.as_fd(), Mode::from_raw_mode(MODE))?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.listen(super::BACKLOG)?;
    Ok(socket.into())
}

/// Removes a socket that nobody listens at.
fn remove_stale(path: &Path) -> io::Result<()> {
    let before = fs::symlink_metadata(path)?;
    if !before.file_type().is_socket() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        // Whatever else it is, somebody may listen.
        _ => return Err(ErrorKind::AddrInUse.into()),
    }
    // Another may have begun to listen there meanwhile.
    let which = |is: &Metadata| (is.dev(), is.ino());
    match fs::symlink_metadata(path)? {
        now if which(&now) == which(&before) => fs::remove_file(path),
        _ => Err(ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_that_nobody_listens_at_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let first = listen(&at("s")).unwrap();
        let mode = fs::metadata(at("s")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        assert_eq!(listen(&at("s")).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(first);
        let second = listen(&at("s")).unwrap();
        UnixStream::connect(at("s")).unwrap();
        drop(second);
        fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink(at("s"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("gone"), at("none")).unwrap();
        for name in ["file", "link", "none", "."] {
            assert_eq!(listen(&at(name)).unwrap_err().kind(), ErrorKind::AlreadyExists, "{name}");
            assert!(fs::symlink_metadata(at(name)).is_ok());
        }
        assert_eq!(listen(&at("gone/s")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
