"""The run time, and layouts."""

import atexit

from wse.sdk.commands import Task
from wse.sdk.layout import SdkCompileArtifacts, SdkLayout
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
