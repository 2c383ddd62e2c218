//! Stops a process before each system call that changes its folder, as a debugger does, so that it
//! can be killed there, or the call be made to fail.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc::{self, c_long, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::victim::Victim;

/// A system call about to be made that would change the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub call: &'static str,
    /// The open file, where it is about one.
    pub file: Option<PathBuf>,
    /// How many bytes a write is to write.
    pub bytes: u64,
}

/// What is to become of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is made.
    Made,
    /// The process is killed before it is made.
    Killed,
    /// It is not made, and the process is told that the disk failed.
    Failed,
}

/// Lets a victim run and looks at each change before it is made. `Err` if this machine does not let
/// one process trace another.
pub fn trace(victim: &mut Victim, folder: &Path, mut fate: impl FnMut(&Change) -> Fate) -> Result<(), Errno> {
    let pid = Pid::from_raw(i32::try_from(victim.child.id()).unwrap());
    seize(pid)?;
    victim.go();
    let mut calls = Calls::default();
    loop {
        // Only what this thread started or traces: other tests have processes too.
        match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Ok(WaitStatus::PtraceSyscall(thread)) => {
                if calls.enters(thread) {
                    match change(thread, folder).map_or(Fate::Made, |change| fate(&change)) {
                        Fate::Made => {}
                        Fate::Killed => kill(pid, Signal::SIGKILL)?,
                        Fate::Failed => calls.fail(thread)?,
                    }
                } else if calls.failing.remove(&thread) {
                    let registers = ptrace::getregs(thread)?;
                    ptrace::setregs(thread, user_regs_struct { rax: IO_ERROR, ..registers })?;
                }
                go_on(thread, None)?;
            }
            Ok(WaitStatus::PtraceEvent(thread, _, _)) => go_on(thread, None)?,
            Ok(WaitStatus::Stopped(thread, signal)) => go_on(thread, Some(signal))?,
            Ok(WaitStatus::Exited(gone, _) | WaitStatus::Signaled(gone, _, _)) if gone == pid => {
                return Ok(());
            }
            Ok(_) => {}
            // The victim was reaped already: it is gone.
            Err(Errno::ECHILD) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
}

/// Begins to trace all threads of a process that waits for its orders.
fn seize(pid: Pid) -> Result<(), Errno> {
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    for entry in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let thread = entry.unwrap().file_name().to_str().unwrap().parse().unwrap();
        let thread = Pid::from_raw(thread);
        ptrace::seize(thread, options)?;
        ptrace::interrupt(thread)?;
    }
    Ok(())
}

/// A thread that was killed meanwhile needs no permission.
fn go_on(thread: Pid, signal: Option<Signal>) -> Result<(), Errno> {
    match ptrace::syscall(thread, signal) {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

/// Which threads are inside a system call: they are stopped on the way in and on the way out.
#[derive(Default)]
struct Calls {
    inside: HashSet<Pid>,
    /// On the way out they are told that it failed.
    failing: HashSet<Pid>,
}

impl Calls {
    fn enters(&mut self, thread: Pid) -> bool {
        let inside = self.inside.remove(&thread);
        if !inside {
            self.inside.insert(thread);
        }
        !inside
    }

    /// Puts a call that does not exist in the place of the one a thread is about to make.
    fn fail(&mut self, thread: Pid) -> Result<(), Errno> {
        self.failing.insert(thread);
        let registers = ptrace::getregs(thread)?;
        ptrace::setregs(thread, user_regs_struct { orig_rax: u64::MAX, ..registers })
    }
}

const STDOUT: u64 = 1;
/// What a system call that failed with EIO returns.
const IO_ERROR: u64 = (-(libc::EIO as i64)).cast_unsigned();

/// The change that a thread is about to make; what it tells its parent counts as one.
fn change(thread: Pid, folder: &Path) -> Option<Change> {
    let registers = ptrace::getregs(thread).ok()?;
    let creates = |flags: u64| flags & u64::from(libc::O_CREAT.unsigned_abs()) != 0;
    let by_name = |call| Some(Change { call, file: None, bytes: 0 });
    let by_file = |call| {
        let file = std::fs::read_link(format!("/proc/{thread}/fd/{}", registers.rdi)).ok()?;
        file.starts_with(folder).then_some(Change { call, file: Some(file), bytes: registers.rdx })
    };
    match c_long::try_from(registers.orig_rax).ok()? {
        libc::SYS_write if registers.rdi == STDOUT => by_name("say"),
        libc::SYS_write => by_file("write"),
        libc::SYS_pwrite64 => by_file("pwrite"),
        libc::SYS_writev => by_file("writev"),
        libc::SYS_ftruncate => by_file("ftruncate"),
        libc::SYS_fallocate => by_file("fallocate"),
        libc::SYS_fsync => by_file("fsync"),
        libc::SYS_fdatasync => by_file("fdatasync"),
        libc::SYS_open if creates(registers.rsi) => by_name("open"),
        libc::SYS_openat if creates(registers.rdx) => by_name("openat"),
        libc::SYS_mkdir | libc::SYS_mkdirat => by_name("mkdir"),
        libc::SYS_rename | libc::SYS_renameat | libc::SYS_renameat2 => by_name("rename"),
        libc::SYS_unlink | libc::SYS_unlinkat | libc::SYS_rmdir => by_name("unlink"),
        _ => None,
    }
}
