from typing import Any

import numpy as np

Buffer = Any  # whatever exports a C-contiguous buffer

PORTS: int
COLORS: int
QUEUES: int
INPUTS: int
TASKS: int
REGISTERS: int
SRAM: int
MAX_THREADS: int
N: int
E: int
S: int
W: int
RAMP: int
OK: int
QUIET: int
LIMIT: int
FAULTED: int
TASK_UNBOUND: int
TASK_DATA: int
TASK_LOCAL: int
TASK_CONTROL: int
ROUTE_RX: int
ROUTE_TX: int
ROUTE_POS: int
ROUTE_LAST: int
ROUTE_RING: int
ROUTE_POP: int
ROUTE_TEARDOWN: int
ROUTE_SWAP_X: int
ROUTE_SWAP_Y: int
ROUTE_FILTER: int
FILTER_RANGE: int
FILTER_COUNTER: int
FILTER_SPARSE: int
PENDING_OPERATIONS: int
PENDING_ROUTERS: int
PENDING_QUEUES: int
PENDING_TASKS: int
WAIT_MAIN: int
WAIT_MICROTHREAD: int
WAIT_ROUTER: int
WAIT_OUTPUT_QUEUE: int
WAIT_INPUT_QUEUE: int
WAIT_TASK: int
FOR_WAVELET: int
FOR_ROOM: int
FOR_READER: int
FOR_UNBLOCK: int
FOR_ROUTE: int
FOR_QUEUE: int
FOR_TEARDOWN: int
FOR_MICROTHREAD: int
FOR_BINDING: int
FOR_FIFO: int
PLANE_COUNTERS: int
PLANE_LINKS: int
PLANE_BLOCKED: int
PLANE_COLORS: int
PLANE_OPCODES: int
PLANE_SERIES: int
PLANE_ACTIVITY: int
PLANE_HOSTSIG: int
MARK_FIRST: int
STOP_STEP: int
STOP_TASK: int
STOP_MARK: int
STOP_WAVELET: int
STOP_MEMORY: int
LOOK_THREAD: int
LOOK_REGISTERS: int
LOOK_DSR: int
LOOK_XDSR: int
LOOK_OPERATION: int
LOOK_INPUT: int
LOOK_OUTPUT: int
LOOK_BUFFER: int
LOOK_ROUTE: int
SOURCES: str
EVENT_BYTES: int
WAIT_BYTES: int
FINDING_BYTES: int
CHECK_UNDEFINED: int
CHECK_CODE: int
CHECK_STACK: int

class Plane:
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Engine:
    width: int
    height: int
    def __init__(
        self,
        width: int,
        height: int,
        params: Buffer,
        fp16: int = 0,
        threads: int = 1,
        trace: int = 0,
        bins: int = 0,
        bin_planes: int = 0,
        portable: int = 0,
        tile: int = 0,
        reference: bool = False,
        drops_off_edge: bool = False,
        team: int = 0,
    ) -> None: ...
    def add_class(
        self,
        code: Buffer,
        iq_color: Buffer,
        oq_color: Buffer,
        task_kind: Buffer,
        task_priority: Buffer,
        task_pc: Buffer,
        control_task: Buffer,
        control_first: Buffer,
        active: int,
        blocked: int,
        thread_priority: int = 0,
    ) -> int: ...
    def set_classes(self, class_of_pe: Buffer) -> None: ...
    def add_filter(
        self,
        kind: int,
        count_data: int,
        count_control: int,
        filter_control: int,
        min_index: int,
        max_index: int,
        init_counter: int,
        limit1: int,
        limit2: int,
        max_counter: int,
    ) -> int: ...
    def set_routes(self, color: int, config: Buffer) -> None: ...
    def write(self, x: int, y: int, w: int, h: int, address: int, data: Buffer) -> None: ...
    def fill(self, x: int, y: int, w: int, h: int, address: int, data: Buffer) -> None: ...
    def fill_class(self, class_index: int, address: int, data: Buffer) -> None: ...
    def read(self, x: int, y: int, w: int, h: int, address: int, into: Buffer) -> None: ...
    def set_register(self, x: int, y: int, w: int, h: int, reg: int, values: Buffer) -> None: ...
    def stream_in(
        self, x: int, y: int, port: int, color: int, data: Buffer, control: Buffer | None, num: int, den: int
    ) -> int: ...
    def stream_out(self, x: int, y: int, port: int, color: int, capacity: int, num: int, den: int) -> int: ...
    def stream_count(self, stream: int) -> int: ...
    def stream_data(self, stream: int) -> Plane: ...
    def stream_control(self, stream: int) -> Plane: ...
    def stream_cycles(self, stream: int) -> Plane: ...
    def stream_take(self, stream: int, goes_on: bool) -> None: ...
    def stream_put(self, stream: int, data: Buffer, control: Buffer | None, segments: Buffer, window: int) -> None: ...
    def stream_timing(self, stream: int) -> np.ndarray: ...
    def set_host(self, color: int) -> None: ...
    def host_put(self, color: int, port: int, x: int, y: int, w: int, h: int, data: Buffer) -> None: ...
    def host_ask(self, color: int, port: int, x: int, y: int, w: int, h: int, n: int) -> None: ...
    def host_take(self, color: int, port: int, x: int, y: int, w: int, h: int, into: Buffer) -> None: ...
    def host_waiting(self, color: int, port: int, out: bool, x: int, y: int, w: int, h: int) -> int: ...
    def activate(self, x: int, y: int, w: int, h: int, task: int) -> None: ...
    def run(self, until: int, limit: int | None = None) -> int: ...
    def rest(self, until: int) -> None: ...
    def ask_stop(self) -> None: ...
    def cycle(self) -> int: ...
    def dropped(self, color: int) -> int: ...
    def last_activity(self) -> int: ...
    def pending(self) -> int: ...
    def waits(self, records: Buffer) -> int: ...
    def save(self, descriptor: int) -> None: ...
    def restore(self, descriptor: int) -> None: ...
    def run_to_stop(
        self,
        until: int,
        limit: int,
        capacity: int,
        pes: Buffer | None = None,
        step_pe: int = 0,
        tasks: Buffer | None = None,
        marks: Buffer | None = None,
        colors: int = 0,
        wavelet_pes: Buffer | None = None,
        places: Buffer | None = None,
        watching: bool = False,
    ) -> tuple[int, int, Any]: ...
    def look(self, x: int, y: int, what: int, index: int = 0) -> list[int]: ...
    def plane(self, which: int) -> Any: ...
    def color_links(self, color: int) -> bytearray | None: ...
    def bin_cycles(self) -> int: ...
    def trace(self) -> Any: ...
    def trace_dropped(self) -> int: ...
    def trace_take(self) -> Any: ...
    def trace_only(self, since: int, until: int, pes: Any = None, hops: bool = False) -> None: ...
    def said(self) -> Any: ...
    def check(self) -> None: ...
    def check_class(self, index: int, region: Any, flags: Any) -> None: ...
    def findings(self, ended: bool, out: Any) -> int: ...
    def profile(self) -> None: ...
    def profile_of(self, index: int, length: int) -> np.ndarray: ...
    def fault(self) -> tuple[int, ...]: ...
    def bytes(self) -> int: ...

def params() -> list[dict[str, Any]]: ...
def ops() -> list[dict[str, Any]]: ...
def types() -> list[dict[str, Any]]: ...
def forms() -> list[dict[str, Any]]: ...
def findings() -> list[tuple[str, str, str]]: ...
def faults() -> list[tuple[str, str, str]]: ...
def events() -> list[tuple[str, str, str]]: ...
def counters() -> list[tuple[str, str, str]]: ...
def causes() -> list[tuple[str, str, str]]: ...
def h2s(fp16: int, half: np.ndarray) -> np.ndarray: ...
def s2h(fp16: int, single: np.ndarray) -> np.ndarray: ...
def element(opcode: int, fp16: int, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray | None: ...
