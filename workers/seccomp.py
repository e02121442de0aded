"""seccomp: which system calls a process may make from now on, as a filter of classic BPF.

Denied calls fail with EPERM; a foreign instruction set kills. Threads stay possible, processes do not, and
descriptors that are open go on working. Source: the kernel's userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator

from workers.kernel import failure, machine, syscall

_SET_MODE_FILTER, _TSYNC = 1, 1
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_CLONE_THREAD = 0x00010000
_X32_BIT = 0x40000000

Instruction = tuple[int, int, int, int]


def _table(text: str) -> dict[str, int]:
    """Read ``name=number`` pairs."""
    return {name: int(number) for name, _, number in (pair.partition("=") for pair in text.split())}


_EVERYWHERE = _table(
    "pidfd_send_signal=424 io_uring_setup=425 io_uring_enter=426 io_uring_register=427 open_tree=428 "
    "move_mount=429 fsopen=430 fsconfig=431 fsmount=432 fspick=433 pidfd_open=434 pidfd_getfd=438 "
    "process_madvise=440 mount_setattr=442 memfd_secret=447 process_mrelease=448 fchmodat2=452"
)
_X86_64 = _table(
    "socket=41 connect=42 accept=43 sendmsg=46 bind=49 listen=50 socketpair=53 accept4=288 sendmmsg=307 "
    "fork=57 vfork=58 execve=59 execveat=322 kill=62 tkill=200 tgkill=234 rt_sigqueueinfo=129 "
    "rt_tgsigqueueinfo=297 ptrace=101 process_vm_readv=310 process_vm_writev=311 prctl=157 "
    "personality=135 mount=165 umount2=166 pivot_root=155 chroot=161 setns=308 unshare=272 bpf=321 "
    "perf_event_open=298 userfaultfd=323 fanotify_init=300 quotactl=179 add_key=248 request_key=249 "
    "keyctl=250 acct=163 syslog=103 reboot=169 kexec_load=246 kexec_file_load=320 init_module=175 "
    "finit_module=313 delete_module=176 swapon=167 swapoff=168 memfd_create=319 ioperm=173 iopl=172 "
    "name_to_handle_at=303 open_by_handle_at=304 mknod=133 mknodat=259 symlink=88 symlinkat=266 link=86 "
    "linkat=265 setpriority=141 sched_setattr=314 setuid=105 setgid=106 setreuid=113 setregid=114 "
    "setgroups=116 setresuid=117 setresgid=119 setfsuid=122 setfsgid=123 chmod=90 fchmod=91 "
    "fchmodat=268 chown=92 fchown=93 lchown=94 fchownat=260 setxattr=188 lsetxattr=189 fsetxattr=190 "
    "removexattr=197 lremovexattr=198 fremovexattr=199 utime=132 utimes=235 futimesat=261 utimensat=280"
)
_AARCH64 = _table(
    "socket=198 socketpair=199 bind=200 listen=201 accept=202 connect=203 sendmsg=211 accept4=242 "
    "sendmmsg=269 execve=221 execveat=281 kill=129 tkill=130 tgkill=131 rt_sigqueueinfo=138 "
    "rt_tgsigqueueinfo=240 ptrace=117 process_vm_readv=270 process_vm_writev=271 prctl=167 "
    "personality=92 mount=40 umount2=39 pivot_root=41 chroot=51 setns=268 unshare=97 bpf=280 "
    "perf_event_open=241 userfaultfd=282 fanotify_init=262 quotactl=60 add_key=217 request_key=218 "
    "keyctl=219 acct=89 syslog=116 reboot=142 kexec_load=104 kexec_file_load=294 init_module=105 "
    "finit_module=273 delete_module=106 swapon=224 swapoff=225 memfd_create=279 name_to_handle_at=264 "
    "open_by_handle_at=265 mknodat=33 symlinkat=36 linkat=37 setpriority=140 sched_setattr=274 "
    "setregid=143 setgid=144 setreuid=145 setuid=146 setresuid=147 setresgid=149 setfsuid=151 "
    "setfsgid=152 setgroups=159 fchmod=52 fchmodat=53 fchownat=54 fchown=55 setxattr=5 lsetxattr=6 "
    "fsetxattr=7 removexattr=14 lremovexattr=15 fremovexattr=16 utimensat=88"
)
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_DENIED = {"x86_64": _X86_64, "aarch64": _AARCH64}
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_SENDTO = {"x86_64": 44, "aarch64": 206}
_SECCOMP = {"x86_64": 317, "aarch64": 277}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install() -> str:
    """Deny the calls in all threads of this process, for ever.

    Returns:
        ``on (… instructions)``, or why not.
    """
    if machine() not in _ARCHITECTURES:
        return f"unsupported machine {machine()}"
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program(machine()))
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_ = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    arguments = ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_TSYNC), ctypes.byref(filter_)
    result = syscall(_SECCOMP[machine()], *arguments)
    if result > 0:
        return f"failed (thread {result} could not be included)"
    return f"on ({len(code) // 8} instructions)" if result == 0 else failure(result)


def program(architecture: str) -> list[Instruction]:
    """Return the filter for an architecture, as (operation, jump if true, jump if false, operand)."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 1, 0, _ARCHITECTURES[architecture]),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
        *_without_x32(architecture),
        *_denials(architecture),
        *_send_to_nobody_new(architecture),
        *_threads_only(architecture),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _without_x32(architecture: str) -> Iterator[Instruction]:
    if architecture == "x86_64":
        yield _IF_AT_LEAST, 0, 1, _X32_BIT
        yield _RETURN, 0, 0, _KILL_PROCESS


def _denials(architecture: str) -> Iterator[Instruction]:
    for number in sorted({*_DENIED[architecture].values(), *_EVERYWHERE.values()}):
        yield _IF_EQUAL, 0, 1, number
        yield _RETURN, 0, 0, _ERRNO | _EPERM
    yield _IF_EQUAL, 0, 1, _CLONE3
    yield _RETURN, 0, 0, _ERRNO | _ENOSYS  # its flags lie in memory; libc falls back to clone


def _send_to_nobody_new(architecture: str) -> Iterator[Instruction]:
    """Let ``sendto`` write to a connected socket, but not name an address."""
    address = _ARGUMENTS_AT + 4 * 8
    yield _IF_EQUAL, 0, 6, _SENDTO[architecture]
    yield _LOAD, 0, 0, address
    yield _IF_EQUAL, 0, 3, 0
    yield _LOAD, 0, 0, address + 4
    yield _IF_EQUAL, 0, 1, 0
    yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _ERRNO | _EPERM


def _threads_only(architecture: str) -> Iterator[Instruction]:
    """Let ``clone`` make threads, but no processes."""
    yield _IF_EQUAL, 0, 3, _CLONE[architecture]
    yield _LOAD, 0, 0, _ARGUMENTS_AT
    yield _IF_ANY_BIT, 1, 0, _CLONE_THREAD
    yield _RETURN, 0, 0, _ERRNO | _EPERM
