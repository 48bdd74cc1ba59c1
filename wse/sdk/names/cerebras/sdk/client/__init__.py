"""Programs for a cluster, on this computer."""

from wse.sdk.appliance import SdkCompiler, SdkLauncher, SdkRuntime
from wse.sdk.commands import Task

from . import debug_util, sdk_utils

__all__ = ["SdkCompiler", "SdkLauncher", "SdkRuntime", "Task", "debug_util", "sdk_utils"]
