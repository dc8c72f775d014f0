//! The settings of libgit2 that hold for the whole process, and its transports.
//!
//! This is the one module with `unsafe`: the library's process-wide options are plain C variables, so setting
//! them is only sound before other threads use them. [`init`] sets them once, and everything else in the
//! program is safe code.
#![expect(unsafe_code, reason = "libgit2's process-wide options have no safe interface")]

use std::ffi::{CStr, CString, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{ConfigLevel, Error, Remote, RemoteHead};

use crate::SourceError;
use crate::context::FetchContext;
use crate::http::HttpClient;
use crate::ssh::SshStream;
use crate::url::Scheme;

/// The address that a fetch gives to libgit2, which picks the transport by it. The real address is in the
/// [`FetchContext`] of the thread, so that no address or credential passes through libgit2 or into its
/// messages.
pub(crate) const ADDRESS: &str = "lockgate://source";

/// The size of libgit2's object cache, in bytes. Its default of 256 MiB is more than the agent's whole
/// memory.
const CACHE: isize = 8 << 20;
/// The most bytes of pack files that may be mapped at once, and in one piece.
const MAPPED: usize = 64 << 20;
const WINDOW: usize = 4 << 20;
/// The most objects that one pack may announce.
const PACK_OBJECTS: usize = 5_000_000;
/// The largest object that is assembled from deltas, in bytes: a few deltas could stand for terabytes.
const OBJECT: usize = 128 << 20;

/// Sets libgit2 up, once for the process; later calls change nothing.
///
/// `state_dir` becomes the user's home folder for libgit2, and its search for configuration files is turned
/// off, so that no `.gitconfig` or `.ssh` of the machine has an effect.
pub(crate) fn init(state_dir: &Path) -> Result<(), SourceError> {
    static DONE: OnceLock<Result<(), SourceError>> = OnceLock::new();
    DONE.get_or_init(|| set_up(state_dir).map_err(|error| SourceError::Storage(error.message().to_owned())))
        .clone()
}

fn set_up(state_dir: &Path) -> Result<(), Error> {
    const HOMEDIR: c_int = libgit2_sys::GIT_OPT_SET_HOMEDIR.cast_signed();
    const MAX_OBJECTS: c_int = libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECTS.cast_signed();
    const MAX_OBJECT_SIZE: c_int = libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECT_SIZE.cast_signed();
    let home = CString::new(state_dir.as_os_str().as_bytes())?;
    // SAFETY: `init` runs this once, before any other thread uses these options: only a `Git` makes
    // connections and reads objects, and the first `Git` waits for `init`. Every option is set to a value of
    // the type that libgit2's documentation gives for it.
    unsafe {
        for level in [ConfigLevel::ProgramData, ConfigLevel::System, ConfigLevel::XDG, ConfigLevel::Global] {
            git2::opts::set_search_path(level, "")?;
        }
        check(libgit2_sys::git_libgit2_opts(HOMEDIR, home.as_ptr()))?;
        git2::opts::set_cache_max_size(CACHE)?;
        git2::opts::set_mwindow_mapped_limit(MAPPED)?;
        git2::opts::set_mwindow_size(WINDOW)?;
        check(libgit2_sys::git_libgit2_opts(MAX_OBJECTS, PACK_OBJECTS))?;
        check(libgit2_sys::git_libgit2_opts(MAX_OBJECT_SIZE, OBJECT))?;
        git2::transport::register("lockgate", transport)?;
    }
    Ok(())
}

/// The name of a listed reference, as bytes: `RemoteHead::name` panics on a name that is not UTF-8, and a
/// host may list one.
pub(crate) fn name_of<'h>(head: &'h RemoteHead<'_>) -> &'h [u8] {
    const { assert!(size_of::<RemoteHead<'_>>() == size_of::<*const libgit2_sys::git_remote_head>()) };
    // SAFETY: a `RemoteHead` is one pointer to the library's struct, which git2 itself relies on when it
    // makes a slice of them from the library's array; the assertion above holds it to that. It and its name
    // live as long as `head` does.
    unsafe {
        let raw: *const libgit2_sys::git_remote_head = std::mem::transmute_copy(head);
        CStr::from_ptr((*raw).name).to_bytes()
    }
}

fn check(result: c_int) -> Result<(), Error> {
    if result < 0 { Err(Error::last_error(result)) } else { Ok(()) }
}

fn transport(remote: &Remote<'_>) -> Result<Transport, Error> {
    let context = FetchContext::current().ok_or_else(|| Error::from_str("no fetch runs on this thread"))?;
    match context.url.scheme() {
        Scheme::Ssh => Transport::smart(remote, false, Ssh(context)),
        Scheme::Https | Scheme::Http => {
            let client = HttpClient::new(context).ok_or_else(left)?;
            Transport::smart(remote, true, Http(Arc::new(client)))
        }
    }
}

struct Ssh(Arc<FetchContext>);

impl SmartSubtransport for Ssh {
    fn action(&self, _url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        match service {
            // libgit2 requests only the listing: the rest of the dialogue uses the same stream.
            Service::UploadPackLs | Service::UploadPack => {
                SshStream::open(&self.0).map(|stream| Box::new(stream) as Box<_>).map_err(|_| left())
            }
            Service::ReceivePackLs | Service::ReceivePack => {
                Err(Error::from_str("sources are never pushed to"))
            }
        }
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

struct Http(Arc<HttpClient>);

impl SmartSubtransport for Http {
    fn action(&self, _url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        match service {
            Service::UploadPackLs => {
                self.0.list().map(|stream| Box::new(stream) as Box<_>).map_err(|_| left())
            }
            Service::UploadPack => Ok(Box::new(self.0.negotiate())),
            Service::ReceivePackLs | Service::ReceivePack => {
                Err(Error::from_str("sources are never pushed to"))
            }
        }
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The error for libgit2 if the context has the reason.
fn left() -> Error {
    Error::from_str("the transport failed")
}
