"""The run time, and layouts."""

from wse.sdk.layout import (
    Color,
    Edge,
    Route,
    RoutingPosition,
    SdkLayout,
    SdkTarget,
    SimfabConfig,
    get_edge_routing,
    get_platform,
)
from wse.sdk.runtime import SdkRuntime
from wse.sdk.transfer import MemcpyDataType, MemcpyOrder

__all__ = [
    "Color",
    "Edge",
    "MemcpyDataType",
    "MemcpyOrder",
    "Route",
    "RoutingPosition",
    "SdkLayout",
    "SdkRuntime",
    "SdkTarget",
    "SimfabConfig",
    "get_edge_routing",
    "get_platform",
]
