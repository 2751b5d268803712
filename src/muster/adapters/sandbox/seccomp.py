"""The system-call filter of the sandbox: a hand-written BPF program for x86-64 and AArch64.

The program runs in the kernel before each system call of the confined process. It denies the ways
out (sockets, new namespaces, other processes, kernel interfaces) and allows the rest; numbers it
does not know, because the kernel is newer than this list, are answered with "not implemented".
Numbers are those of the kernel's `unistd` tables.
"""

import errno
import struct
from dataclasses import dataclass

LOAD_WORD, AND, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
OFFSET_NUMBER, OFFSET_ARCHITECTURE, OFFSET_ARGUMENTS = 0, 4, 16

AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FIRST_UNKNOWN = 470
X32_BIT = 0x40000000

CLONE_THREAD = 0x00010000
CLONE_PARENT = 0x00008000
CLONE_NEW_NAMESPACE = 0x7E020000
UNIX_DOMAIN, STREAM, TYPE_MASK = 1, 1, 0xF
ACCESS_MODE, TRUNCATE = 0o3, 0o1000
PR_SET_PDEATHSIG = 1
EVERY_BIT = 0xFFFFFFFF

# name: (x86-64, AArch64), None where the architecture has no such call.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # The network.
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "accept4": (288, 242),
    "bind": (49, 200), "listen": (50, 201), "sendto": (44, 206), "sendmsg": (46, 211),
    "sendmmsg": (307, 269), "socketpair": (53, 199),
    # Asynchronous calls that would bypass this filter.
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_setup": (206, 0), "io_submit": (209, 2),
    # Programs and processes.
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "clone": (56, 220), "clone3": (435, 435), "setsid": (112, 157), "setpgid": (109, 154),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261), "prctl": (157, 167), "setpriority": (141, 140),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122), "ioprio_set": (251, 30), "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # Users and namespaces.
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143),
    "setresuid": (117, 147), "setresgid": (119, 149), "setfsuid": (122, 151),
    "setfsgid": (123, 152), "setgroups": (116, 159), "capset": (126, 91),
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41),
    # Mounts.
    "mount": (165, 40), "umount2": (166, 39), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    # Files in ways that rules on paths do not cover.
    "open": (2, None), "openat": (257, 56), "openat2": (437, 437), "truncate": (76, 45),
    "link": (86, None), "linkat": (265, 37), "mknod": (133, None), "mknodat": (259, 33),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "fanotify_init": (300, 262),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
    # Memory shared with other processes by name.
    "shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186),
    "mq_open": (240, 180),
    # The kernel and the machine.
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142),
    "sethostname": (170, 161), "setdomainname": (171, 162), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "iopl": (172, None), "ioperm": (173, None), "syslog": (103, 116),
    "lookup_dcookie": (212, 18), "vhangup": (153, 58), "modify_ldt": (154, None),
}  # fmt: skip

CONDITIONAL = frozenset(
    (
        *("socketpair", "sendto", "clone", "fork", "vfork", "kill", "tgkill"),
        *("prlimit64", "prctl", "open", "openat"),
    )
)
# "Not implemented" makes the C library fall back to a call whose arguments can be inspected.
NOT_IMPLEMENTED = frozenset(["clone3", "openat2", "io_uring_setup"])
# Answered with success and not done: copying functions of the standard library insist on them,
# and on files of the same user they would reach outside the run's own folder.
IGNORED = frozenset(
    ["chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat"],
)


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds when half of an argument, masked, equals (or differs from) a value."""

    argument: int
    value: int
    mask: int = EVERY_BIT
    equal: bool = True
    upper_half: bool = False


def seccomp_supported(machine: str) -> bool:
    return machine in AUDIT_ARCHITECTURE


def seccomp_program(machine: str, *, process_id: int, processes: int, threads: bool) -> bytes:
    """Assemble the filter as the kernel's array of 8-byte instructions.

    Args:
        machine: `x86_64` or `aarch64`, as `os.uname` says.
        process_id: The process to confine, the only one it may signal.
        processes: Children it may have at the same time; the count itself is a resource limit.
        threads: Whether it may start threads.
    """
    column = 0 if machine == "x86_64" else 1
    program = [
        _instruction(LOAD_WORD, OFFSET_ARCHITECTURE),
        _instruction(JUMP_EQUAL, AUDIT_ARCHITECTURE[machine], 1, 0),
        _instruction(RETURN, KILL_PROCESS),
        _instruction(LOAD_WORD, OFFSET_NUMBER),
        # Also refuses the x32 calls of x86-64: their numbers carry bit 30.
        _instruction(JUMP_AT_LEAST, FIRST_UNKNOWN, 0, 1),
        _instruction(RETURN, ERRNO | errno.ENOSYS),
    ]
    for name, numbers in NUMBERS.items():
        number = numbers[column]
        if number is not None and name not in CONDITIONAL:
            program += [
                _instruction(JUMP_EQUAL, number, 0, 1),
                _instruction(RETURN, ERRNO | _answer(name)),
            ]
    for name, condition in _conditions(process_id, processes=processes, threads=threads):
        number = NUMBERS[name][column]
        if number is not None:
            program += _deny_when(number, condition)
    program.append(_instruction(RETURN, ALLOW))
    return b"".join(program)


def _answer(name: str) -> int:
    if name in IGNORED:
        return 0
    return errno.ENOSYS if name in NOT_IMPLEMENTED else errno.EPERM


def _conditions(
    process_id: int, *, processes: int, threads: bool
) -> list[tuple[str, Condition | None]]:
    rules: list[tuple[str, Condition | None]] = [
        # An event loop wakes itself through a socket pair; only that kind is let through, since
        # a datagram pair could be pointed at any local socket.
        ("socketpair", Condition(0, UNIX_DOMAIN, equal=False)),
        ("socketpair", Condition(1, STREAM, mask=TYPE_MASK, equal=False)),
        ("sendto", Condition(4, 0, equal=False)),
        ("sendto", Condition(4, 0, equal=False, upper_half=True)),
        ("kill", Condition(0, process_id, equal=False)),
        ("tgkill", Condition(0, process_id, equal=False)),
        ("prctl", Condition(0, PR_SET_PDEATHSIG)),
        ("clone", Condition(0, 0, mask=CLONE_NEW_NAMESPACE, equal=False)),
        # A child that counts as the server's would be nobody's to end.
        ("clone", Condition(0, CLONE_PARENT, mask=CLONE_PARENT)),
        # Opening for reading and truncating at once is not seen by older Landlock versions.
        ("open", Condition(1, TRUNCATE, mask=TRUNCATE | ACCESS_MODE)),
        ("openat", Condition(2, TRUNCATE, mask=TRUNCATE | ACCESS_MODE)),
        # Limits of itself may be read and lowered (0 means itself), those of others not.
        ("prlimit64", Condition(0, 0, equal=False)),
    ]
    if processes == 0:
        rules += [
            ("fork", None),
            ("vfork", None),
            ("clone", Condition(0, 0, mask=CLONE_THREAD)),
        ]
    if not threads:
        rules.append(("clone", Condition(0, CLONE_THREAD, mask=CLONE_THREAD)))
    return rules


def _deny_when(number: int, condition: Condition | None) -> list[bytes]:
    denied = _instruction(RETURN, ERRNO | errno.EPERM)
    if condition is None:
        return [_instruction(JUMP_EQUAL, number, 0, 1), denied]
    offset = OFFSET_ARGUMENTS + 8 * condition.argument + 4 * condition.upper_half
    when_true, when_false = (0, 1) if condition.equal else (1, 0)
    return [
        _instruction(JUMP_EQUAL, number, 0, 5),
        _instruction(LOAD_WORD, offset),
        _instruction(AND, condition.mask),
        _instruction(JUMP_EQUAL, condition.value, when_true, when_false),
        denied,
        _instruction(LOAD_WORD, OFFSET_NUMBER),
    ]


def _instruction(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when_true, when_false, value)
