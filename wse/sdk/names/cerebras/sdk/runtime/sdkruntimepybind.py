"""The run time, and layouts.

SdkLayout compiles CSL.  The compiler is imported when a host program asks for a name of _WITH_COMPILER: most programs
run what cslc has compiled.
"""

import atexit
from typing import TYPE_CHECKING, Any

from wse.sdk.commands import Task
from wse.sdk.region import (
    FP16TYPE,
    CodeRegion,
    Color,
    Edge,
    EdgeRouteInfo,
    PortHandle,
    Route,
    RoutingPosition,
    SdkExecutionPlatform,
    SdkTarget,
    SimfabConfig,
    get_edge_routing,
    get_platform,
    get_simulator,
    get_system,
)
from wse.sdk.runtime import SdkRuntime, tell_unstopped
from wse.sdk.transfer import MemcpyDataType, MemcpyOrder

if TYPE_CHECKING:
    from wse.sdk.layout import SdkCompileArtifacts, SdkLayout

_WITH_COMPILER = ("SdkCompileArtifacts", "SdkLayout")


def __getattr__(name: str) -> Any:
    if name not in _WITH_COMPILER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import wse.sdk.layout

    return getattr(wse.sdk.layout, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WITH_COMPILER})


atexit.register(tell_unstopped)

__all__ = [
    "FP16TYPE",
    "CodeRegion",
    "Color",
    "Edge",
    "EdgeRouteInfo",
    "MemcpyDataType",
    "MemcpyOrder",
    "PortHandle",
    "Route",
    "RoutingPosition",
    "SdkCompileArtifacts",
    "SdkExecutionPlatform",
    "SdkLayout",
    "SdkRuntime",
    "SdkTarget",
    "SimfabConfig",
    "Task",
    "get_edge_routing",
    "get_platform",
    "get_simulator",
    "get_system",
]
