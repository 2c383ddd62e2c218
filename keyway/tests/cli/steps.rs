//! Kills a command just before one of the system calls that change its folder, as a debugger does.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How a traced command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Changes that it made.
    pub changes: usize,
    /// Whether it was killed before another.
    pub killed: bool,
}

/// Runs a command and kills it before its `n`th change of a file below `folder`. `None` where one process may not
/// trace another, or may not see its files.
pub fn kill_before(command: &Command, folder: &Path, n: usize) -> Option<Ended> {
    let child = stopped(command)?;
    let pid = Pid::from_raw(i32::try_from(child.id()).ok()?);
    let ended =
        Trace { pid, folder: folder.canonicalize().ok()?, inside: HashSet::new(), changes: 0, n }.run();
    if ended.is_err() {
        // Nothing is traced: what was started must not run on.
        let _ = kill(pid, Signal::SIGKILL);
    }
    drop(child);
    ended.ok()
}

/// A shell that waits to become the command, so that it can be traced from its first step on.
fn stopped(command: &Command) -> Option<Child> {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(command.get_current_dir()?);
    let child = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).ok()?);
    match waitpid(pid, Some(WaitPidFlag::WUNTRACED)) {
        Ok(WaitStatus::Stopped(..)) => Some(child),
        _ => None,
    }
}

struct Trace {
    pid: Pid,
    folder: PathBuf,
    /// Threads inside a system call: they are stopped on the way in and on the way out.
    inside: HashSet<Pid>,
    changes: usize,
    n: usize,
}

impl Trace {
    fn run(mut self) -> Result<Ended, Errno> {
        let options =
            Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
        ptrace::seize(self.pid, options)?;
        kill(self.pid, Signal::SIGCONT)?;
        let mut killed = false;
        loop {
            // Only what this thread traces: other tests have processes too.
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
                Ok(WaitStatus::PtraceSyscall(thread)) => {
                    let enters = !self.inside.remove(&thread);
                    if enters {
                        self.inside.insert(thread);
                    }
                    if enters && !killed && self.is_change(thread)? {
                        killed = self.changes == self.n;
                        if killed {
                            kill(self.pid, Signal::SIGKILL)?;
                        } else {
                            self.changes += 1;
                        }
                    }
                    go_on(thread, None)?;
                }
                Ok(WaitStatus::PtraceEvent(thread, signal, _)) => {
                    // The stop that began it ends here; other events carry no signal of their own.
                    let _ = signal;
                    go_on(thread, None)?;
                }
                Ok(WaitStatus::Stopped(thread, signal)) => {
                    let job = matches!(signal, Signal::SIGSTOP | Signal::SIGCONT | Signal::SIGTRAP);
                    go_on(thread, (!job).then_some(signal))?;
                }
                Ok(WaitStatus::Exited(gone, _) | WaitStatus::Signaled(gone, _, _)) if gone == self.pid => {
                    return Ok(Ended { changes: self.changes, killed });
                }
                Ok(_) => {}
                Err(Errno::ECHILD) => return Ok(Ended { changes: self.changes, killed }),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the call that a thread is about to make changes the folder. Not the engine's own files: they are
    /// thrown away with it.
    fn is_change(&self, thread: Pid) -> Result<bool, Errno> {
        let Ok(registers) = ptrace::getregs(thread) else { return Ok(false) };
        let Ok(call) = c_long::try_from(registers.orig_rax) else { return Ok(false) };
        let creates = |flags: u64| flags & u64::from(libc::O_CREAT.unsigned_abs()) != 0;
        match call {
            libc::SYS_write
            | libc::SYS_pwrite64
            | libc::SYS_writev
            | libc::SYS_ftruncate
            | libc::SYS_fallocate
            | libc::SYS_fsync
            | libc::SYS_fdatasync => self.is_own_file(thread, registers.rdi),
            libc::SYS_open => Ok(creates(registers.rsi)),
            libc::SYS_openat => Ok(creates(registers.rdx)),
            libc::SYS_rename | libc::SYS_renameat | libc::SYS_renameat2 => Ok(true),
            libc::SYS_unlink | libc::SYS_unlinkat => Ok(true),
            _ => Ok(false),
        }
    }

    fn is_own_file(&self, thread: Pid, descriptor: u64) -> Result<bool, Errno> {
        match std::fs::read_link(format!("/proc/{thread}/fd/{descriptor}")) {
            Ok(file) => {
                let engine = file.components().any(|part| part.as_os_str() == "engine");
                Ok(file.starts_with(&self.folder) && !engine)
            }
            // A program that hides its memory hides its files too, from all but root.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(Errno::EPERM),
            Err(_) => Ok(false),
        }
    }
}

/// A thread that was killed meanwhile needs no permission.
fn go_on(thread: Pid, signal: Option<Signal>) -> Result<(), Errno> {
    match ptrace::syscall(thread, signal) {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}
